"""Parts of the target draft on its cache: their law at every depth, and whose rows they read."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.inputs import model_logits
from specjax import decode, rules, trees
from specjax.drafters import ModelDrafter
from specjax.drafters.subnetwork import Subnetwork
from specjax.models import Pair, Penalised, plan
from specjax.models.config import Config
from specjax.models.on_target import OnTarget
from specjax.models.pairs.markov import Letters
from specjax.models.transformer import Transformer
from specjax.numerics import Sampling
from specjax.trees import chain
from specjax.verifiers import TopDown

LAYERS = 3
CONFIG = Config(vocabulary=30, width=16, layers=LAYERS, heads=4, kv_heads=2, hidden=32)
TARGET = Transformer(CONFIG)
TREE = trees.full(2, 1, 1)
PROMPT = jnp.array([7, 3, 9, 1, 4, 0, 0, 0], jnp.int32)
LENGTH = jnp.int32(5)
PLANS = {
    "all": plan.every(LAYERS),
    "exit": plan.first(2),
    "skip": plan.without(LAYERS, (1,)),
    "groups": plan.groups(LAYERS, 2, start=1),
}

close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
VERIFIER = TopDown(rules.KSeq())


@pytest.fixture(scope="module")
def params():
    drawn = jax.jit(TARGET.new_params)(jax.random.key(0))
    # laws far from uniform, and blocks that matter
    blocks = jax.tree.map(lambda x: 2 * x, drawn["blocks"])
    return drawn | {"embed": {"kernel": drawn["embed"]["kernel"] * 50}, "blocks": blocks}


def part(name):
    return dataclasses.replace(TARGET, plan=PLANS[name])


def decoder(draft, sampling=Sampling(), target=TARGET, tree=TREE):  # noqa: B008
    pair = Pair(target, None, draft, None, Letters(), -1, ())
    return decode.decoder(pair, tree, "iid", sampling)


@functools.partial(jax.jit, static_argnums=(0, 2))
def after_steps(made, params, count=3):
    """The laws p and q of the tree that is proposed after some steps."""
    weights = decode.Params(params, params)
    key = jax.random.key(3)

    def step(state, _):
        proposed = decode.propose(made, key, weights, state)
        uniforms = decode.uniforms(key, state, proposed.draft)
        verdict = VERIFIER.walk(uniforms, proposed.draft, proposed.p).verdict
        return decode.commit(made, proposed, verdict), (proposed.p, proposed.draft.q)

    state = decode.init(made, weights, PROMPT, LENGTH, 24)
    laws = jax.lax.scan(step, state, length=count + 1)[1]
    return jax.tree.map(lambda rows: rows[-1], laws)


def overlap(p, q):
    return np.minimum(p, q).sum(-1)


def test_all_blocks_draft_as_the_target_at_every_depth(params):
    made = decoder(OnTarget(part("all")))
    assert isinstance(made.drafter, Subnetwork)
    p, q = after_steps(made, params)
    inner = TREE.levels[-2]  # nothing is drawn below the leaves
    close(q[:inner], p[:inner])


@pytest.mark.thorough
def test_a_tree_that_drops_nodes_has_room_on_the_cache(params):
    """More nodes are grown than verified; the cache of the target has no rows for them."""
    grown = trees.growth.parse("best_first:6x4x3", "top_n")
    drafter = Subnetwork(part("all"), grown)
    rows = drafter._rows(TARGET.init(16, grown.topology.nodes))
    assert rows.keys[0].shape[1] == 16 + sum(grown.widths)
    pair = Pair(TARGET, None, OnTarget(part("all")), None, Letters(), -1, ())
    p, q = after_steps(decode.decoder(pair, grown, "top_n"), params, 0)
    close(q[0], p[0])


def test_the_text_of_a_greedy_target_does_not_depend_on_the_plan(params):
    texts = []
    for name in ("skip", "groups"):
        made = decoder(OnTarget(part(name)), Sampling(temperature=0), tree=chain(2))
        weights = decode.Params(params, params)
        out = decode.decode(made, VERIFIER, jax.random.key(0), weights, PROMPT, LENGTH, 16)
        texts.append(np.asarray(out.tokens)[: int(out.length)])
    assert len(texts[0]) == 21
    assert all(np.array_equal(texts[0], text) for text in texts)


@pytest.mark.parametrize(("name", "same"), [("exit", True), ("skip", False)])
def test_only_first_blocks_have_one_law_on_both_caches(params, name, same):
    """The planted error: rows that a skipping model wrote itself are told from the target's."""
    shared = jax.nn.softmax(OnTarget(part(name)).along(params, PROMPT)[:, 0])
    own = jax.nn.softmax(part(name).forward(params, PROMPT[None])[0])
    assert bool(np.all(overlap(shared, own) > 1 - 1e-4)) == same
    close(shared[0], own[0])  # nothing is read before the first token


@pytest.mark.parametrize("wrong", [False, True])
def test_along_a_text_is_what_a_decode_drafts(params, wrong):
    """Row i of `along` is the law of the root in a decode of the first i + 1 tokens.

    A draft on a cache of its own is told.
    """
    model = OnTarget(part("skip"))
    made = decoder(model.model if wrong else model, tree=chain(1))
    assert isinstance(made.drafter, ModelDrafter if wrong else Subnetwork)
    [logits] = model_logits.of_texts(model, params, [PROMPT[:5].tolist()])
    q = after_steps(made, params, 0)[1]
    agree = np.allclose(q[0], jax.nn.softmax(logits[4]), rtol=1e-4, atol=1e-5)
    assert agree != wrong


def test_all_blocks_along_a_text_are_the_target_at_every_depth(params):
    made = OnTarget(part("all")).along(params, PROMPT, 3)
    whole = TARGET.forward(params, PROMPT[None])[0]
    assert made.shape == (6, 3, 30)
    for depth in range(3):
        close(made[:, depth], whole[depth : depth + 6])


def test_a_plan_of_all_blocks_is_no_plan(params):
    close(part("all").forward(params, PROMPT[None]), TARGET.forward(params, PROMPT[None]))


def test_a_block_that_does_not_run_writes_nothing(params):
    scores = part("skip").score(params, TARGET.init(8, 0), PROMPT, chain(7))
    for block in range(LAYERS):
        assert bool(jnp.any(scores.cache.keys[block] != 0)) == (block != 1)


def test_groups_are_side_by_side_from_the_third_block_on():
    made = plan.groups(7, 2)
    sizes = [group.attention for group in made.groups]
    assert sizes == [(0,), (1,), (2, 3), (4, 5), (6,)]
    assert made.blocks == tuple(range(7))


@pytest.mark.thorough
def test_a_batch_is_its_rows_and_keeps_its_trace(params):
    made = decoder(OnTarget(part("skip")), tree=chain(2))
    weights = decode.Params(params, params)
    keys = jax.random.split(jax.random.key(1), 2)

    @jax.jit
    @chex.assert_max_traces(n=2)  # alone, and under vmap
    def tokens(key, length):
        return decode.decode(made, VERIFIER, key, weights, PROMPT, length, 12).tokens

    both = jax.vmap(tokens)(keys, jnp.array([3, 5]))
    for key, length, row in zip(keys, jnp.array([3, 5]), both, strict=True):
        assert jnp.array_equal(tokens(key, length), row)


def test_a_penalised_target_lends_its_inner_cache_and_others_none():
    drafter = decoder(OnTarget(part("all")), target=Penalised(TARGET)).drafter
    cache = Penalised(TARGET).init(16, 8)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, drafter._rows(cache), cache.inner))
    fewer = dataclasses.replace(TARGET, config=dataclasses.replace(CONFIG, layers=2))
    with pytest.raises(ValueError, match=r"expected the cache of a transformer of 3 blocks"):
        drafter._rows(fewer.init(16, 8))
