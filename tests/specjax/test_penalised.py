"""Penalties: the logits at every node are those of its own text, in one forward and over steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from specjax import decode, trees
from specjax.models import Penalised, prefill
from specjax.models.markov import Markov
from specjax.numerics import Sampling
from tests.helpers.small_decodes import setting, small_pair, weights
from theory.penalties import Penalties

V = 7
EACH = [
    Penalties(bias=((1, 2.0), (3, -np.inf))),
    Penalties(repetition=1.7),
    Penalties(repetition=0.6),
    Penalties(presence=0.9),
    Penalties(bad_words=((2,), (4, 0), (5, 0), (1, 6, 0))),
    Penalties(((0, 1.0),), 1.3, 0.2, ((3, 3),)),
]
IDS = ["bias", "repetition", "reward", "presence", "bad words", "all"]


def table(seed=0):
    return 3 * np.random.default_rng(seed).standard_normal((V, V)).astype(np.float32)


def model(penalties):
    return Penalised(Markov(V), **vars(penalties))


def expected(text, penalties):
    """The referee's logits after a text."""
    return theory.penalties.penalised(table()[text[-1]], text, penalties)


@pytest.mark.parametrize("penalties", EACH, ids=IDS)
def test_every_node_of_a_tree_has_the_logits_of_its_own_text(penalties, seed):
    """After a prompt of two pieces, and after a second tree."""
    rng = np.random.default_rng(seed)
    text = rng.integers(V, size=70).tolist()
    held, topology = model(penalties), trees.full(2, 2)
    params = jnp.asarray(table())
    cache = prefill(held, params, jnp.array([*text, 0, 0]), jnp.int32(70), 96).cache
    for path in ([0, 2, 5], [0]):
        tokens = [text[-1], *rng.integers(V, size=6).tolist()]
        scores = held.score(params, cache, jnp.array(tokens), topology)
        for node, above in enumerate(np.asarray(topology.ancestors())):
            whole = [*text[:-1], *(tokens[i] for i in np.flatnonzero(above))]
            np.testing.assert_allclose(
                scores.logits[node], expected(whole, penalties), rtol=1e-5, atol=1e-5
            )
        cache = held.commit(scores.cache, jnp.array([*path, -1, -1]))
        text = [*text[:-1], *(tokens[i] for i in path), 0]


@pytest.mark.parametrize("penalties", EACH[-2:], ids=IDS[-2:])
def test_a_speculative_text_is_the_plain_one(penalties):
    """Greedy decoding of both models with penalties, after a prompt of one token and of five."""
    check_greedy(penalties, model(penalties))


def test_a_draft_without_penalties_changes_no_text():
    check_greedy(EACH[-1], Markov(V))


def check_greedy(penalties, draft):
    pair = small_pair(V)._replace(
        target=model(penalties),
        target_params=jnp.asarray(table()),
        draft=draft,
        draft_params=jnp.asarray(table(1)),
    )
    decoder, verifier = setting(pair, "full:2,1,1", "recursive_rejection", "iid", Sampling(0))
    run = functools.partial(decode.decode, decoder, verifier, params=weights(pair), budget=32)
    for prompt in ([4], [4, 0, 5, 0, 1]):
        plain = list(prompt)
        while len(plain) < len(prompt) + 32:
            plain.append(int(np.argmax(expected(plain, penalties))))
        ids, lengths = decode.padded([prompt])
        found = run(jax.random.key(0), prompt=ids[0], length=lengths[0])
        assert np.asarray(found.tokens)[: len(plain)].tolist() == plain


def test_a_penalty_that_does_nothing_changes_nothing():
    pair = small_pair()
    tokens, topology = jnp.array([0, 1, 2]), trees.star(2)
    logits = [
        held.score(pair.target_params, held.init(64, 0), tokens, topology).logits
        for held in (pair.target, Penalised(pair.target))
    ]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"repetition": 0.0}, "expected repetition > 0"),
        ({"presence": np.inf}, "a finite presence"),
        ({"bias": ((0, np.nan),)}, "bias: expected numbers below inf"),
        ({"bias": ((V, 1.0),)}, "expected tokens from 0 to 6, got 7"),
        ({"bad_words": ((1, -1),)}, "expected tokens from 0 to 6, got -1"),
        ({"bad_words": ((),)}, "bad_words: expected at least one token in each"),
    ],
)
def test_what_is_no_penalty_is_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        Penalised(Markov(V), **setting)
