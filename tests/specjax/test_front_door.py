"""What a newcomer meets: names that complete, types that are known, and one import."""

import subprocess
import sys

import jax
import pytest

import specjax
from specjax.models import pairs
from specjax.trees import chain
from tests import make_exports
from tests.helpers.places import ROOT

ROOMS = ("couplings", "drafting", "families", "models", "rules", "trees", "verifiers")
OF_PACKAGES = [specjax, specjax.trees.growth, *(getattr(specjax, room) for room in ROOMS)]
CORE = {"chex", "flax", "jax", "jaxtyping", "numpy", "optax", "orbax", "rich", "scipy", "tyro"}
TYPES = """
import specjax
reveal_type(specjax.rules.KSeq().law)
reveal_type(specjax.rules.get("kseq"))
reveal_type(specjax.verifiers.get("block"))
reveal_type(specjax.rules.all())
specjax.rules.KSeq().nam
"""


def test_every_class_is_imported_by_name():
    assert make_exports.stale() == [], "run `make exports`"
    assert specjax.rules.KSeq is specjax.rules.get("kseq")


def test_a_class_that_nobody_imports_is_caught(monkeypatch):
    classes = make_exports.classes
    monkeypatch.setattr(
        make_exports, "classes", lambda folder: classes(folder) | {"newcomer": "Newcomer"}
    )
    assert len(make_exports.stale()) == len(make_exports.PACKAGES)


@pytest.mark.parametrize("package", OF_PACKAGES, ids=lambda package: package.__name__)
def test_completion_shows_what_is_public_and_nothing_else(package):
    assert dir(package) == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)
    assert not [name for name in package.__all__ if name.startswith("_") and name != "__version__"]


def test_importing_specjax_loads_jax_numpy_and_jaxtyping_alone():
    code = f"import sys, specjax; print(*sorted({CORE} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == ["jax", "jaxtyping", "numpy"]


def test_a_type_checker_knows_rules_by_name_and_by_registry(tmp_path):
    path = tmp_path / "newcomer.py"
    path.write_text(TYPES)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        str(path),
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(checked.stdout)
    law, rule, verifier, every, wrong = [
        line.partition(": ")[2] for line in checked.stdout.splitlines() if "newcomer.py" in line
    ][:5]
    assert "tokens" in law
    assert "Any" not in law
    assert '"type[specjax._types.Rule]"' in rule
    assert '"type[specjax.verifiers._base.Verifier]"' in verifier
    assert "type[specjax._types.Rule]" in every
    assert '"KSeq" has no attribute "nam"' in wrong


@pytest.mark.parametrize(
    ("registry", "base", "lacks"),
    [(specjax.rules, "Rule", "law"), (specjax.verifiers, "Verifier", "claims, law, walk")],
)
def test_a_class_that_lacks_a_part_of_its_base_is_refused_by_name(registry, base, lacks, tmp_path):
    path = tmp_path / "lacking.py"
    room = registry.__name__
    marked = "claims = None" if base == "Rule" else "pass"
    head = f"from {room} import {base}, register\n\n\n@register\n"
    path.write_text(f"{head}class Lacking({base}):\n    {marked}\n")
    with pytest.raises(ValueError, match=f"Lacking lacks {lacks}"):
        registry.get(str(path))


def test_what_has_no_file_of_its_own_takes_no_path():
    for registry in (specjax.drafting, specjax.couplings, specjax.families, specjax.trees.growth):
        with pytest.raises(ValueError, match=r"unknown .* 'mine.py': expected one of"):
            registry.get("mine.py")


def test_generate_takes_a_rule_a_verifier_or_a_grown_tree():
    pair = pairs.load("markov")
    for rule, tree in (
        (specjax.rules.Greedy(), "star:2"),
        (specjax.verifiers.Block(), chain(3)),
        (specjax.rules.Single(), chain(2)),
    ):
        found = specjax.generate(jax.random.key(0), pair, "hello", rule, tree, 12)
        assert len(found.tokens) == 12
        assert 4 <= found.steps <= 12
        assert found.text == pair.tokenizer.decode(found.tokens)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": ""}, "a prompt has no token"),
        ({"pair": "nobody"}, "unknown pair"),
        ({"rule": specjax.rules.Greedy()}, "its proof covers"),
    ],
)
def test_generate_says_what_is_wrong(change, words):
    asked = {"pair": "markov", "text": "a", "tree": "paths:2x2", **change}
    with pytest.raises(ValueError, match=words):
        specjax.generate(jax.random.key(0), **asked)


def test_the_package_says_its_version():
    assert f'version = "{specjax.__version__}"' in (ROOT / "pyproject.toml").read_text()
