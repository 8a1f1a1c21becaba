"""Block verification: exact, as long as one path allows, and drawn as its law says."""

import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.trees import Draft, chain, star
from specjax.verifiers import Block, _leaf_first, block
from tests.helpers.sampling import assert_drawn_from
from tests.helpers.tree_laws import (
    EmittedLaw,
    assert_single_precision_is_enough,
    battery_worlds,
    constant_world,
    draw_all,
    one_tree,
    outcome,
    random_world,
    walk_law,
)

GOLDEN = (1 / 3, 2 / 3), (2 / 3, 1 / 3)
SCHEMES = sorted(Block.claims.drafting)


def expected_prefixes(world, depth: int) -> float:
    """sum_i E_Q[w_i], by the plain recursion over all prefixes."""
    prefixes = itertools.chain.from_iterable(
        itertools.product(range(world.vocabulary), repeat=length) for length in range(1, depth + 1)
    )
    return sum(mass_and_weight(world, tokens) for tokens in prefixes)


def mass_and_weight(world, tokens: tuple[int, ...]) -> float:
    mass = weight = 1.0
    for i, token in enumerate(tokens):
        p, q = world.target[i][tokens[:i]][token], world.draft[i][tokens[:i]][token]
        if not q:
            return 0.0
        mass, weight = mass * q, min(1.0, weight * p / q)
    return mass * weight


@pytest.mark.parametrize(("depth", "vocabulary"), [(1, 3), (3, 2), (3, 3)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_is_exact_and_accepts_the_weights(scheme, depth, vocabulary):
    emitted = EmittedLaw(Block(), chain(depth), scheme)
    worlds = battery_worlds(vocabulary, depth) | {
        f"random {seed}": random_world(vocabulary, depth, seed) for seed in range(10)
    }
    found = {name: emitted(world) for name, world in worlds.items()}
    print({name: f"{verdict.loss:.1e}" for name, verdict in found.items()})
    assert max(verdict.loss for verdict in found.values()) < 1e-12
    assert max(verdict.excess for verdict in found.values()) < 1e-12
    for name, verdict in found.items():
        assert verdict.accepted == pytest.approx(
            expected_prefixes(worlds[name], depth), abs=1e-12
        ), name


@pytest.mark.short
@pytest.mark.parametrize(
    ("depth", "accepted"), [(1, 2 / 3), (2, 11 / 9), (3, 5 / 3), (4, 166 / 81), (5, 64 / 27)]
)
def test_goldens(depth, accepted):
    found = EmittedLaw(Block(), chain(depth), "iid")(constant_world(*GOLDEN, depth))
    print(found)
    assert found.accepted == pytest.approx(accepted, abs=1e-12)
    assert found.loss < 1e-12


@pytest.mark.parametrize("active", [(True, True, False), (True, False, True), (False, True, True)])
def test_where_the_path_breaks_off(active):
    """Below a node that was never drawn nothing is there, whatever it says of itself."""
    topology = dataclasses.replace(chain(3), active=np.array([True, *active]))
    world = random_world(3, 3, 5)
    found = EmittedLaw(
        Block(),
        topology,
        "iid",
        lambda draft, p: (dataclasses.replace(draft, topology=topology), p),
    )(world)
    assert found.loss < 1e-12
    assert found.accepted == pytest.approx(expected_prefixes(world, active.index(False)), abs=1e-12)


@pytest.mark.parametrize("depth", [1, 3])
def test_single_precision(depth):
    emitted = EmittedLaw(Block(), chain(depth), "iid", dtype=np.float32)
    found = [
        emitted(world)
        for world in (
            *battery_worlds(3, depth).values(),
            *(random_world(3, depth, seed) for seed in range(10)),
        )
    ]
    print(max(f.loss for f in found), max(f.excess for f in found))
    assert max(f.loss for f in found) < 1e-6
    assert max(f.excess for f in found) < 1e-6


@pytest.mark.thorough
def test_single_precision_at_a_large_vocabulary():
    assert_single_precision_is_enough(Block(), chain(4), "iid", 131072)


def uncapped_at_the_end(monkeypatch):
    def wrong(draft, p):
        rows = jnp.arange(p.shape[0] - 1)
        joint = jnp.prod(p[rows, draft.tokens[1:]] / draft.q[rows, draft.tokens[1:]])
        return right(draft, p).at[-1].set(jnp.minimum(1, joint))

    right = block.prefix_weights
    monkeypatch.setattr(block, "prefix_weights", wrong)


def prefix_off_by_one(monkeypatch):
    right = block.prefix_weights
    monkeypatch.setattr(
        block, "prefix_weights", lambda draft, p: jnp.roll(right(draft, p), 1).at[0].set(1)
    )


def weights_of_the_tokens_alone(monkeypatch):
    right = block.prefix_weights

    def wrong(draft, p):
        parts = [
            (
                dataclasses.replace(draft, tokens=draft.tokens[i : i + 2], q=draft.q[i : i + 2]),
                p[i : i + 2],
            )
            for i in range(2)
        ]
        return jnp.stack([jnp.ones(()), *(right(*part)[1] for part in parts)])

    monkeypatch.setattr(block, "prefix_weights", wrong)


def bonus_from_the_parent(monkeypatch):
    right = _leaf_first.law
    monkeypatch.setattr(
        _leaf_first,
        "law",
        lambda ends, draft, p: right(ends, draft, jnp.roll(p, 1, 0).at[0].set(p[0])),
    )


def never_drawn_is_ignored(monkeypatch):
    right = block.Block.ends

    def wrong(self, draft, p):
        return right(self, dataclasses.replace(draft, topology=chain(draft.topology.height)), p)

    monkeypatch.setattr(block.Block, "ends", wrong)


def test_the_uncapped_joint_ratio_costs_a_ninth(monkeypatch):
    uncapped_at_the_end(monkeypatch)
    loss = EmittedLaw(Block(), chain(2), "iid")(constant_world(*GOLDEN, 2)).loss
    print(loss)
    assert loss == pytest.approx(1 / 9, abs=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "mistake",
    [uncapped_at_the_end, prefix_off_by_one, weights_of_the_tokens_alone, bonus_from_the_parent],
)
def test_a_mistake_is_caught(mistake, monkeypatch):
    mistake(monkeypatch)
    loss = EmittedLaw(Block(), chain(2), "iid")(random_world(3, 2, 1)).loss
    print(loss)
    assert loss > 1e-3


def test_an_ignored_end_of_the_path_is_caught(monkeypatch):
    topology = dataclasses.replace(chain(2), active=np.array([True, True, False]))
    assert EmittedLaw(Block(), topology, "iid")(random_world(3, 2, 1)).loss < 1e-12
    never_drawn_is_ignored(monkeypatch)
    assert EmittedLaw(Block(), topology, "iid")(random_world(3, 2, 1)).loss > 1e-3


@pytest.mark.thorough
@pytest.mark.parametrize("tokens", [(0, 0, 0), (0, 1, 0), (1, 1, 1)])
def test_walks_are_what_the_law_says(tokens):
    """Exact over the nodes, within V / 64 over the tokens."""
    with jax.enable_x64(True):
        drawn, p = one_tree(random_world(2, 3, 4), chain(3), "iid", tokens)
        law = np.asarray(Block().law(drawn, p))
        walked = walk_law(Block(), drawn, p, 64)
    assert np.abs(law.sum(1) - walked.sum(1)).max() < 1e-12
    assert (np.abs(law - walked) <= law.sum(1, keepdims=True) / 64 + 1e-12).all()


@pytest.mark.thorough
@pytest.mark.key_reuse
def test_walks_have_the_law(key):
    drawn, p = one_tree(random_world(3, 3, 4), chain(3), "iid", (1, 2, 0))
    law = np.asarray(jax.jit(Block().law)(drawn, p), np.float64)
    draws = jax.vmap(lambda key: outcome(Block().verify(key, drawn, p), 3))
    assert_drawn_from(jax.jit(draws)(jax.random.split(key, 40_000)), law.reshape(-1))


@pytest.mark.thorough
def test_one_trace_serves_all_contexts_and_batches(key):
    trees = draw_all(random_world(2, 3, 6), chain(3), "iid")
    rows = [
        jnp.asarray(x)
        for x in (
            trees.tokens.astype(np.int32),
            trees.q.astype(np.float32),
            trees.p.astype(np.float32),
        )
    ]
    keys = jax.random.split(key, len(trees.mass))

    def verify(key, tokens, q, p):
        return Block().verify(key, Draft(chain(3), tokens, q, "iid"), p)

    chex.clear_trace_counter()
    single = jax.jit(chex.assert_max_traces(verify, 1))
    one_by_one = [single(*(x[i] for x in (keys, *rows))) for i in range(8)]
    chex.assert_trees_all_equal(
        jax.tree.map(lambda *x: jnp.stack(x), *one_by_one), jax.jit(jax.vmap(verify))(keys, *rows)
    )


def test_what_it_refuses():
    p = jnp.full((3, 2), 0.5)
    tokens = jnp.zeros(3, jnp.int32)
    with pytest.raises(
        ValueError, match="verifier block: takes one path, got nodes with 2 children"
    ):
        Block().law(Draft(star(2), tokens, p, "iid"), p)
    with pytest.raises(
        ValueError, match="its proof covers the schemes greedy, iid, without_replacement, not top_n"
    ):
        Block().law(Draft(chain(2), tokens, p, "top_n"), p)
