"""Run-time checks of shapes, one compile cache, and a seed from each test's own name."""

import gc
import hashlib
import itertools
import os
from pathlib import Path

from tests.helpers.places import ROOT

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# an int is a float, as for any type checker
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
install_import_hook("specjax", "tests.conftest.checked")

import jax  # noqa: E402
import pytest  # noqa: E402

collect_ignore = ["make_reference_logits.py"]  # it needs torch


@pytest.fixture
def seed(request) -> int:
    """The hash of the test's id: fixed, and no test shares another's."""
    return int.from_bytes(hashlib.sha256(request.node.nodeid.encode()).digest()[:4], "big")


@pytest.fixture
def key(seed) -> jax.Array:
    """The random key of this test."""
    return jax.random.key(seed)


@pytest.fixture(autouse=True)
def _keys_are_used_once(request):
    """Tests marked key_reuse run under jax's checker: a key that is used twice is an error."""
    with jax.debug_key_reuse(request.node.get_closest_marker("key_reuse") is not None):
        yield


TESTS = itertools.count()
MAPS = Path("/proc/self/maps")
MANY = 45_000  # a process may have 65530 memory maps, and each compiled program takes some 200


@pytest.fixture(autouse=True)
def _programs_go_before_they_are_too_many():
    """A worker that ran out of memory maps would die without a word; looked at now and then."""
    yield
    if MAPS.exists() and next(TESTS) % 8 == 0 and MAPS.read_bytes().count(b"\n") > MANY:
        jax.clear_caches()
        gc.collect()
