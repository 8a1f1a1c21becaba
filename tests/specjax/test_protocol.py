"""What the decoding loop hands to a drafter: features, logits and the cache of its text."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import decode, rules, trees
from specjax.drafters import ModelDrafter
from specjax.models import Penalised
from specjax.models.config import Config
from specjax.models.markov import Markov
from specjax.models.transformer import Transformer
from specjax.trees import NO_NODE, growth

CONFIG = Config(vocabulary=11, width=8, layers=2, heads=2, kv_heads=1, hidden=16)
TARGET = Transformer(CONFIG)
TREE = trees.full(2, 1)
PROMPT, LENGTH, BUDGET = jnp.array([3, 1, 4, 1, 5, 0, 0, 0]), jnp.int32(5), 12
LAYERS = (0, 2)


class Sums(NamedTuple):
    """What a drafter saw of the committed text but its last token, added up."""

    early: jax.Array
    last: jax.Array
    logits: jax.Array
    cached: jax.Array


class State(NamedTuple):
    """The state of the inner drafter, and the sums."""

    inner: object
    sums: Sums


@dataclasses.dataclass(frozen=True)
class Spy:
    """Drafts as another drafter does, and adds up what it sees."""

    inner: ModelDrafter
    features: tuple[int, ...] = LAYERS
    topology = TREE

    def init(self, params, prompt, length, rows, seen):
        kept = (jnp.arange(len(prompt)) < length - 1)[:, None]
        early, last = (jnp.sum(jnp.where(kept, rows, 0), 0) for rows in seen)
        logits = jnp.zeros(CONFIG.vocabulary)
        inner = self.inner.init(params, prompt, length, rows, ())
        return State(inner, Sums(early, last, logits, jnp.int32(0)))

    def propose(self, key, params, state, target):
        draft, inner = self.inner.propose(key, params, state.inner, target)
        return draft, State(inner, state.sums._replace(cached=target.cache.length))

    def observe(self, state, draft, scores, verdict):
        kept = (verdict.path != NO_NODE)[:, None]
        rows = [
            jnp.where(kept, rows[verdict.path], 0) for rows in (*scores.features, scores.logits)
        ]
        early, last, logits = (jnp.sum(row, 0) for row in rows)
        sums = state.sums
        inner = self.inner.observe(state.inner, draft, scores, verdict)
        seen = Sums(sums.early + early, sums.last + last, sums.logits + logits, sums.cached)
        return State(inner, seen)

    def learned(self, state):
        return state.sums


class Beside(Spy):
    """Planted: takes the features of the nodes next to the path."""

    def observe(self, state, draft, scores, verdict):
        moved = jax.tree.map(lambda rows: jnp.roll(rows, 1, 0), scores.features)
        return super().observe(state, draft, scores._replace(features=moved), verdict)


@functools.cache
def weights():
    params = jax.jit(TARGET.new_params)(jax.random.key(0))
    return params | {"embed": {"kernel": params["embed"]["kernel"] * 50}}


def decoded(drafter, keys):
    decoder = decode.Decoder(TARGET, drafter)
    verifier = decode.verifier(rules.KSeq(), "iid", TREE)
    params = decode.Params(weights(), weights())
    return jax.vmap(
        lambda key: decode.decode(decoder, verifier, key, params, PROMPT, LENGTH, BUDGET)
    )(keys)


def spy():
    return Spy(ModelDrafter(TARGET, growth.drafting(TREE, "iid")))


def worst(drafter):
    """The largest difference between what a drafter saw and the whole forward of the text."""
    found = decoded(drafter, jax.random.split(jax.random.key(0), 2))
    errors = []
    for row in range(2):
        text = found.tokens[row]
        reader = dataclasses.replace(TARGET, features=LAYERS)
        size = text.shape[0]
        scores = reader.score(weights(), reader.init(size, 0), text, trees.chain(size - 1))
        end = int(found.length[row]) - 1
        right = [jnp.sum(rows[:end], 0) for rows in scores.features]
        right.append(jnp.sum(scores.logits[int(LENGTH) - 1 : end], 0))
        saw = jax.tree.map(lambda rows, row=row: rows[row], found.drafter)
        errors += [float(jnp.abs(a - b).max()) for a, b in zip(saw, right, strict=False)]
        accepted = found.info.emitted[row, found.steps[row] - 1]
        assert int(saw.cached) == end - int(accepted)
    return max(errors)


def test_a_drafter_sees_the_text():
    """Hidden states at the prompt and at all that is accepted, logits there, and the cache; two
    texts of one batch.
    """
    assert worst(spy()) < 1e-3


def test_rows_that_are_no_part_of_the_text_are_told():
    assert worst(Beside(spy().inner)) > 0.1


def test_who_reads_nothing_learns_nothing():
    drafter = ModelDrafter(TARGET, growth.drafting(TREE, "iid"))
    found = decoded(drafter, jax.random.split(jax.random.key(0), 2))
    assert found.drafter == ()
    steps = np.asarray(found.steps)
    drafted = [row[:count] for row, count in zip(found.info.drafted, steps, strict=True)]
    assert np.all(np.concatenate(drafted) == TREE.nodes - 1)


def test_hidden_states_are_asked_of_the_model_that_has_them():
    inner = decode.Decoder(Penalised(TARGET, presence=1.0), spy()).read.inner
    assert inner.features == LAYERS
    with pytest.raises(ValueError, match="Markov: has no hidden states to read"):
        _ = decode.Decoder(Markov(11), spy()).read


def test_a_verifier_reads_the_last_hidden_state():
    """At each node that of a plain forward of its path; the drafter still sees its own layers."""
    decoder = dataclasses.replace(
        decode.Decoder(TARGET, spy()), evidence=decode.evidence(rules.Judge())
    )
    params = decode.Params(weights(), weights())
    state = decode.init(decoder, params, PROMPT, LENGTH, BUDGET)
    proposed = decode.propose(decoder, jax.random.key(0), params, state)
    draft = proposed.draft
    assert len(proposed.scores.features) == len(LAYERS)
    reader = dataclasses.replace(TARGET, features=(-1,))
    text = PROMPT[: int(LENGTH) - 1]
    for path in ([0], [0, 1], [0, 2, 4]):
        tokens = jnp.concatenate([text, draft.tokens[jnp.array(path)]])
        size = len(tokens)
        scores = reader.score(weights(), reader.init(size, 0), tokens, trees.chain(size - 1))
        np.testing.assert_allclose(draft.evidence[path[-1]], scores.features[0][-1], atol=1e-4)
