"""Under x64 every loop keeps its types: rules, verifiers and tree schemes, on laws of either
precision; traced, not run.
"""

import functools
import itertools
import warnings

import jax
import jax.numpy as jnp
import pytest

from experiments.inputs import named_verifiers, scheme_choice
from specjax import decode, rules, verifiers
from specjax.models import Pair
from specjax.models.markov import Markov
from specjax.models.pairs.markov import Letters
from specjax.trees import growth
from specjax.verifiers import node_report

SIZES = {1: "chain:2", 2: "2x2", 3: "4x2x2"}  # of a tree scheme with so many


def trees():
    grown = [
        f"{name}:{SIZES[len(growth.get(name).__dataclass_fields__)]}" for name in growth.names()
    ]
    return ["star:2", "chain:2", *grown]


def steps(tree, dtype):
    """A decode by every rule and verifier that takes the tree, as a function of nothing."""
    table = jnp.zeros((5, 5), dtype)
    pair = Pair(Markov(5, 1), table, Markov(5, 1), table, Letters(), -1, ())
    for name in [*verifiers.names(), *rules.names()]:
        try:
            named = named_verifiers.made(name)
            grown = growth.parse(tree, scheme_choice.taken(named, tree))
            verifier = decode.verifier(named, grown.scheme, grown.topology)
        except (TypeError, ValueError):
            continue  # outside its proof
        decoder, params = decode.decoder(pair, grown, grown.scheme), decode.Params(table, table)
        yield name, functools.partial(_decode, decoder, verifier, params)


def _decode(decoder, verifier, params):
    return decode.decode.__wrapped__(
        decoder,
        verifier,
        jax.random.key(0),
        params,
        jnp.zeros(4, jnp.int32),
        jnp.int32(2),
        6,
        node_report,
    )


@pytest.mark.parametrize("tree", trees())
@pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float32, marks=pytest.mark.thorough), jnp.float64]
)
def test_a_decode_is_traced_with_no_change_of_types(tree, dtype):
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # of a scatter that casts
        taken = itertools.islice(
            steps(tree, dtype), 2 if tree != "star:2" else None if dtype == jnp.float32 else 8
        )
        found = {name: jax.eval_shape(step) for name, step in taken}
    assert found
    for decoded in found.values():
        assert (decoded.tokens.dtype, decoded.length.dtype, decoded.info.emitted.dtype) == (
            jnp.int32,
        ) * 3
