"""A decode on trees that grow while drafting emits the target, in one program."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import decode, rules
from specjax.models import Pair
from specjax.models.markov import Markov, random_tables
from specjax.models.pairs.markov import Letters
from tests.helpers.grown_trees import ONE_OF_EACH, PROMPT, RULE, TREES, VOCABULARY, tree
from tests.helpers.sampling import assert_drawn_from

pytestmark = pytest.mark.thorough


@functools.cache
def small_pair():
    model = Markov(VOCABULARY, 1)
    target, draft = random_tables(VOCABULARY, 1, entropy=0.8, distance=0.25, seed=1)
    return Pair(model, target, model, draft, Letters(), -1, ())


def setting(text):
    pair, grown = small_pair(), tree(text)
    verifier = decode.verifier(rules.get(RULE[TREES[text]])(), grown.scheme, grown.topology)
    return (
        decode.decoder(pair, grown, grown.scheme),
        verifier,
        decode.Params(pair.target_params, pair.draft_params),
    )


@pytest.mark.key_reuse
@pytest.mark.parametrize("text", ONE_OF_EACH)
def test_decoded_text_has_the_law_of_the_target(text, key):
    """Over several steps, so that what was accepted has to be found again in the caches."""
    decoder, verifier, params = setting(text)
    run = jax.vmap(
        lambda key: decode.decode(decoder, verifier, key, params, PROMPT, jnp.int32(3), 4)
    )
    decoded = run(jax.random.split(key, 20_000))
    texts = np.asarray(decoded.tokens)[:, 3:7]
    p = np.asarray(jax.nn.softmax(params.target, -1), np.float64)
    law = np.einsum("a,ab,bc,cd->abcd", p[1], p, p, p)
    assert np.asarray(decoded.steps).mean() < 3
    assert_drawn_from(np.ravel_multi_index(texts.T, law.shape), law.ravel())


@pytest.mark.parametrize("text", ONE_OF_EACH)
def test_equal_keys_draw_equal_trees(text):
    decoder, verifier, params = setting(text)
    chex.clear_trace_counter()
    counted = jax.jit(
        chex.assert_max_traces(decode.decode.__wrapped__, n=1),
        static_argnames=("decoder", "budget"),
    )
    runs = [
        counted(
            setting(text)[0],
            verifier,
            jax.random.key(seed),
            params,
            PROMPT,
            jnp.int32(length),
            budget=6,
        )
        for seed, length in ((0, 3), (0, 3), (1, 2))
    ]
    np.testing.assert_array_equal(runs[0].tokens, runs[1].tokens)
    program = str(
        decode.decode.trace(
            decoder, verifier, jax.random.key(0), params, PROMPT, jnp.int32(3), 4
        ).jaxpr
    )
    assert "callback" not in program
