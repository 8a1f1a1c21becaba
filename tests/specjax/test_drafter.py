"""Drafters: the laws that a model drafter states are those of its plain text, step after step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import decode, rules, trees
from specjax.drafters import Held, ModelDrafter, NoDraft, model
from specjax.models import Pair, Scores
from specjax.models.config import Config
from specjax.models.markov import Markov
from specjax.models.pairs.markov import Letters
from specjax.models.transformer import Transformer
from specjax.numerics import Sampling
from specjax.trees import NO_NODE, ROOT, Verdict, growth

LOCAL = Config(
    vocabulary=11,
    width=8,
    layers=2,
    heads=2,
    kv_heads=1,
    hidden=16,
    local_layers=(0,),
    local_window=3,
)
MODELS = {"local": Transformer(LOCAL), "markov": Markov(3, 2)}
CASES = [
    ("local", "full:2,2,1"),
    ("local", "best_first:4x3x3"),
    ("markov", "chain:1"),
    ("markov", "beam:3x3"),
    ("markov", "paths:2x3"),
]
ROWS = 64
NOBODY = Held((), ())  # a drafter with a cache of its own does not look at the target
NOTHING = Scores(jnp.zeros((0, 0)), (), ())


@functools.cache
def weights(name):
    if name == "markov":
        return jax.random.normal(jax.random.key(0), (9, 3))
    params = jax.jit(MODELS[name].new_params)(jax.random.key(0))
    return params | {"embed": {"kernel": params["embed"]["kernel"] * 50}}


def law_after(name, text):
    """The model's law after a plain text, out of one forward."""
    held = MODELS[name]
    tokens = jnp.zeros(ROWS, jnp.int32).at[: len(text)].set(jnp.array(text))
    logits = _forward(held, weights(name), tokens)
    return np.asarray(jax.nn.softmax(logits[len(text) - 1]))


@functools.partial(jax.jit, static_argnums=0)
def _forward(held, params, tokens):
    return held.score(params, held.init(ROWS, 0), tokens, trees.chain(ROWS - 1)).logits


def worst(name, tree, length, rng):
    """Three steps with verdicts that are drawn: the largest error of a law that drafts were drawn
    from.
    """
    held, params = MODELS[name], weights(name)
    scheme = next(iter(growth.drawable(tree)))
    drafter = ModelDrafter(held, growth.parse(tree, scheme))
    text = rng.integers(0, held.vocabulary, length).tolist()
    prompt = jnp.array(text + [0] * (8 - length), jnp.int32)
    state = drafter.init(params, prompt, jnp.int32(length), ROWS, ())
    propose = jax.jit(drafter.propose)
    errors = []
    for turn in range(3):
        draft, state = propose(jax.random.key(turn), params, state, NOBODY)
        parents, active = (np.asarray(x) for x in (draft.topology.parents, draft.topology.active))
        kids = [np.flatnonzero((parents == i) & active) for i in range(len(parents))]
        paths = {ROOT: text}
        for node in range(len(parents)):
            if node and active[node]:
                paths[node] = paths[parents[node]] + [int(draft.tokens[node])]
            if node in paths and len(kids[node]):
                errors.append(np.abs(draft.q[node] - law_after(name, paths[node])).max())
        path = [ROOT]
        while len(kids[path[-1]]) and rng.random() < 0.8:
            path.append(int(rng.choice(kids[path[-1]])))
        said = [int(draft.tokens[i]) for i in path[1:]] + [int(rng.integers(held.vocabulary))]
        text = text + said
        room = draft.topology.height + 1 - len(path)
        verdict = Verdict(
            jnp.array(said + [0] * room), jnp.int32(len(said)), jnp.array(path + [NO_NODE] * room)
        )
        state = drafter.observe(state, draft, NOTHING, verdict)
    return max(errors)


@pytest.mark.parametrize(("name", "tree"), CASES)
def test_the_stated_laws_are_those_of_the_text(name, tree):
    """After prompts of one token and more; leaves are accepted and rejected."""
    rng = np.random.default_rng(0)
    for length in (1, 2, 5):
        assert worst(name, tree, length, rng) < 1e-5


def test_a_row_that_is_kept_wrongly_is_caught(monkeypatch):
    """Planted: the last token of the path is committed as well, though it was not scored."""
    observe = ModelDrafter.observe

    def one_more(self, state, draft, scores, verdict):
        more = verdict._replace(length=verdict.length + 1)
        kept = observe(self, state, draft, scores, more)
        return kept._replace(recent=observe(self, state, draft, scores, verdict).recent)

    monkeypatch.setattr(ModelDrafter, "observe", one_more)
    assert worst("local", "chain:1", 5, np.random.default_rng(0)) > 1e-2


def test_a_token_before_the_first_is_caught(monkeypatch):
    """Planted: a text of one token is taken for one of two."""
    monkeypatch.setattr(model, "_after", lambda alone, tree: tree)
    assert worst("local", "full:2,2,1", 1, np.random.default_rng(0)) > 1e-2


def test_without_drafts_the_target_says_what_it_says_with_drafts():
    """At temperature 0, one token a call; the draft's weights are not asked for."""
    held, params = MODELS["local"], weights("local")
    pair = Pair(held, params, held, params, Letters(), -1, ())
    texts = []
    for tree, weighed in (("none", None), ("full:2,1", params)):
        decoder = decode.decoder(pair, trees.parse(tree), "iid", Sampling(0))
        assert isinstance(decoder.drafter, NoDraft) == (tree == "none")
        verifier = decode.verifier(rules.KSeq(), "iid", trees.parse(tree))
        found = decode.decode(
            decoder,
            verifier,
            jax.random.key(0),
            decode.Params(params, weighed),
            jnp.array([3, 1, 4, 0]),
            jnp.int32(3),
            20,
        )
        texts.append(np.asarray(found.tokens)[: int(found.length)].tolist())
        assert int(found.steps) == 20 or tree != "none"
    assert texts[0] == texts[1]
    assert len(texts[0]) == 23


def test_a_drafter_needs_drafts():
    with pytest.raises(ValueError, match="expected a tree with drafts; `NoDraft` decodes without"):
        ModelDrafter(MODELS["markov"], growth.parse("none", "iid"))
