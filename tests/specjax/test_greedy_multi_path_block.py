"""Greedy multi-path block verification: exact on independent paths, what the formulas say, and
drawn as its law says.
"""

import dataclasses
import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.audits import large_audit
from experiments.enumeration import verifier_laws
from experiments.stats.frequencies import allowance
from specjax import drafting
from specjax.trees import ROOT, Draft, chain, full, parse, star
from specjax.verifiers import Block, GreedyMultiPathBlock, greedy_multi_path_block
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
)
from theory import multi_path, verifiers

VERIFIER = GreedyMultiPathBlock()
G2 = (1 / 3, 2 / 3), (2 / 3, 1 / 3)
G3 = (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)
G4 = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)
FLAT = (0.5, 0.5), (0.5, 0.5)
LARGE = 32768


@pytest.mark.short
@pytest.mark.parametrize(
    ("laws", "tree", "accepted"),
    [
        (G2, full(2, 1), 131 / 81),
        (G2, full(3, 1), 1.768176),
        (G3, full(2, 1), 1.5508),
        (G4, full(2, 1), 1.3520),
        (FLAT, star(2), 0.75),
        (G2, chain(2), 11 / 9),
    ],
)
def test_goldens(laws, tree, accepted):
    found = EmittedLaw(VERIFIER, tree, "iid")(constant_world(*laws, tree.height))
    print(found)
    assert found.accepted == pytest.approx(accepted, abs=5e-7)
    assert found.loss < 1e-12


def everywhere(tree, laws):
    parents = parse(tree).parents.tolist()
    return theory.trees.everywhere(parents, *map(np.array, laws), "iid")


@pytest.mark.parametrize(
    ("laws", "tree", "accepted"),
    [
        (G2, "full:3,1", 1.768176),
        (G3, "full:3,1", 1.643165),
        (G4, "full:3,1", 1.445600),
        (G2, "full:2,1", 131 / 81),
        (FLAT, "star:2", 0.75),
    ],
)
def test_goldens_of_the_formula(laws, tree, accepted):
    assert multi_path.accepted(everywhere(tree, laws)) == pytest.approx(accepted, abs=5e-7)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("laws", [G2, G3, G4, FLAT])
def test_one_level_accepts_what_the_largest_draft_does(laws, n):
    """The selection of `importance_weighted` that always takes the draft of largest p/q."""
    p, q = map(np.array, laws)
    problem = everywhere(f"star:{n}", laws)
    drawn = theory.trees.drawn(problem)
    largest = np.zeros(len(p))
    for tokens, mass in zip(drawn.tokens[:, 1:], drawn.mass, strict=True):
        largest[max(tokens, key=lambda token: (p[token] / q[token], token))] += mass
    accepted = theory.trees.expected_accepted(drawn, drawn.laws(verifiers.greedy_multi_path_block))
    assert accepted == pytest.approx(np.minimum(p, largest).sum(), abs=1e-12)


@pytest.mark.parametrize("tree", ["full:2,1", "full:2,1,1", "full:3,1", "paths:2x2"])
def test_the_law_is_that_of_theory(tree):
    """On every drawn tree, merged or not, and with subtrees missing."""
    cases = verifier_laws.cases(tree, "iid", None)
    rows = verifier_laws.rows(cases)
    found = verifier_laws.laws(VERIFIER, cases.drafting, rows)
    stated = [one.drawn.laws(verifiers.greedy_multi_path_block) for one in cases.instances]
    error = np.abs(found - np.concatenate(stated)).max()
    print(len(found), error)
    assert error < 1e-9


@pytest.mark.parametrize("shape", [(-1, 0, 0, 1, 2), (-1, 0, 0, 0, 1, 2, 3)])
def test_the_formula_is_what_is_accepted(shape):
    for seed in range(5):
        for make in (theory.trees.random, theory.trees.mixed):
            problem = make(shape, 2, "iid", seed)
            drawn = theory.trees.drawn(problem)
            laws = drawn.laws(verifiers.greedy_multi_path_block)
            assert theory.trees.loss(drawn, laws) < 1e-12
            assert theory.trees.expected_accepted(drawn, laws) == pytest.approx(
                multi_path.accepted(problem), abs=1e-12
            )


def test_the_formula_refuses_another_shape():
    with pytest.raises(ValueError, match="parents: expected paths of one length that part at"):
        multi_path.accepted(everywhere("full:2,2", G2))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("tree", "vocabulary"), [(full(2, 1), 3), (full(3, 1), 2), (full(2, 1, 1), 2), (star(3), 3)]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_is_exact(tree, vocabulary, dtype):
    emitted = EmittedLaw(VERIFIER, tree, "iid", dtype=dtype)
    worlds = battery_worlds(vocabulary, tree.height)
    worlds |= {f"random {seed}": random_world(vocabulary, tree.height, seed) for seed in range(5)}
    found = {name: emitted(world) for name, world in worlds.items()}
    print({name: f"{verdict.loss:.1e}" for name, verdict in found.items()})
    limit = 1e-12 if dtype is np.float64 else 1e-6
    assert max(verdict.loss for verdict in found.values()) < limit
    assert max(verdict.excess for verdict in found.values()) < limit


def test_one_path_is_block_verification():
    drawn, p = one_tree(random_world(3, 3, 1), chain(3), "iid", (1, 2, 0))
    assert jnp.allclose(VERIFIER.law(drawn, p), Block().law(drawn, p), atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("vocabulary", [LARGE, 131072])
@pytest.mark.parametrize("tree", [full(2, 1, 1), full(9, 1)])
def test_single_precision_at_a_large_vocabulary(tree, vocabulary):
    assert_single_precision_is_enough(VERIFIER, tree, "iid", vocabulary)


def flat(vocabulary):
    return np.full(vocabulary, 1 / vocabulary, np.float32)


def one_half(vocabulary, first):
    law = np.zeros(vocabulary, np.float32)
    half = slice(0, vocabulary // 2) if first else slice(vocabulary // 2, vocabulary)
    law[half] = 2 / vocabulary
    return law


PAIRS = {
    "p = q flat": lambda v: (flat(v), flat(v)),
    "one-hot p": lambda v: (np.eye(1, v, 7, dtype=np.float32)[0], flat(v)),
    "one-hot q": lambda v: (flat(v), np.eye(1, v, 7, dtype=np.float32)[0]),
    "disjoint": lambda v: (one_half(v, True), one_half(v, False)),
    "q with zeros": lambda v: (flat(v), one_half(v, True)),
}


@pytest.mark.parametrize("vocabulary", [LARGE, pytest.param(131072, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", PAIRS)
def test_laws_at_the_edge_in_single_precision(name, vocabulary, key):
    """A law, and what a walk ends with has mass in it."""
    tree = full(3, 1)
    p, q = PAIRS[name](vocabulary)
    q_rows, p_rows = (jnp.broadcast_to(law, (tree.nodes, vocabulary)) for law in (q, p))
    tokens, _ = drafting.get("iid")().sample(key, jnp.asarray(q), tree.nodes)
    draft = Draft(tree, tokens, q_rows, "iid")
    law = jax.jit(VERIFIER.law)(draft, p_rows)
    assert bool(jnp.all(law >= 0))
    assert float(law.sum()) == pytest.approx(1, abs=1e-6)
    verdict = jax.jit(VERIFIER.verify)(key, draft, p_rows)
    last = verdict.length - 1
    assert law[verdict.path[last], verdict.tokens[last]] > 0


@pytest.mark.parametrize("name", PAIRS)
def test_the_selected_law_sums_to_one(name):
    p, q = map(jnp.asarray, PAIRS[name](LARGE))
    tree = star(3)
    rows = (jnp.broadcast_to(law, (tree.nodes, LARGE)) for law in (q, p))
    q_rows, p_rows = rows
    draft = Draft(tree, jnp.array([0, 7, 1, 2]), q_rows, "iid")
    best = greedy_multi_path_block._select(draft, p_rows)
    law = greedy_multi_path_block._own_law(best, jnp.int32(0), draft, p_rows)
    assert float(law.sum()) == pytest.approx(1, abs=2e-6)
    assert not law[q == 0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_digits_are_lost_on_a_long_path(dtype):
    """Where the q mass of the prefix is 1e-120, far below the least float32."""
    tree = full(2, *[1] * 19)
    laws = np.array([[0.5, 0.5 - 2e-6, 1e-6, 1e-6], [0.4, 0.6 - 2e-6, 1e-6, 1e-6]])
    tokens = np.where(np.arange(tree.nodes) % 2 == 0, 3, 2)
    with jax.enable_x64(dtype is np.float64):
        p, q = (jnp.broadcast_to(jnp.asarray(law, dtype), (tree.nodes, 4)) for law in laws)
        law = VERIFIER.law(Draft(tree, jnp.asarray(tokens, jnp.int32), q, "iid"), p)
        assert float(law.sum()) == pytest.approx(1, abs=1e-6)
        # p = q on the tokens of the path, of which the larger one is selected at the root
        assert law[-1].sum() > 0.4


@functools.partial(jax.jit, static_argnames=("draws",))
def _first_tokens(key, p, q, groups, draws):
    """The law of the first emitted token over groups of tokens, for each of some drawn trees."""
    tree = full(2, 1)
    p_rows, q_rows = (jnp.broadcast_to(law, (tree.nodes, len(law))) for law in (p, q))

    def at(key):
        tokens, _ = drafting.get("iid")().sample(key, q, tree.nodes)
        law = VERIFIER.law(Draft(tree, tokens, q_rows, "iid"), p_rows)
        below = law[1:].sum(1)
        return law[ROOT] @ groups + below @ groups[tokens[jnp.array([1, 2, 1, 2])]]

    return jax.lax.map(at, jax.random.split(key, draws))


@pytest.mark.thorough
@pytest.mark.parametrize("pair", [0, 1])
def test_the_first_token_has_the_law_p_at_a_large_vocabulary(pair, key):
    """Over 8 groups by p/q and 8 by lot; 512 drawn trees find a total variation of 0.1."""
    draws = 512
    size = large_audit.Size(LARGE, 2, draws, draws)
    p, q = large_audit._laws(size, "iid", 0)[pair]
    groups = large_audit._groups(np.asarray(p, np.float64), np.asarray(q, np.float64), 0)
    seen = _first_tokens(key, p, q, jnp.asarray(groups, jnp.float32), draws)
    wanted = (np.asarray(p, np.float64) @ groups).reshape(2, -1)
    error = np.abs(np.asarray(seen, np.float64).mean(0).reshape(2, -1) - wanted).sum(1) / 2
    print(error)
    assert (error < [allowance(law, draws) for law in wanted]).all()


@pytest.mark.thorough
@pytest.mark.key_reuse
@pytest.mark.parametrize("tokens", [(1, 2, 0, 1), (2, 2, 1, 0), (0, 1, 1, 2)])
def test_walks_have_the_law(tokens, key):
    drawn, p = one_tree(random_world(3, 2, 4), full(2, 1), "iid", tokens)
    law = np.asarray(jax.jit(VERIFIER.law)(drawn, p), np.float64)
    draws = jax.vmap(lambda key: outcome(VERIFIER.verify(key, drawn, p), 3))
    assert_drawn_from(jax.jit(draws)(jax.random.split(key, 40_000)), law.reshape(-1))


def test_a_batch_walks_as_each_of_its_rows(key):
    """A row of the batch is sorted where a single walk sorts none."""
    tree = full(2, 1)
    trees = draw_all(random_world(3, 2, 6), tree, "iid")
    keys = jax.random.split(key, len(trees.mass))
    tokens = jnp.asarray(trees.tokens, jnp.int32)
    q, p = (jnp.asarray(law, jnp.float32) for law in (trees.q, trees.p))

    def verify(key, tokens, q, p):
        return VERIFIER.verify(key, Draft(tree, tokens, q, "iid"), p)

    single = jax.jit(verify)
    one_by_one = [single(keys[i], tokens[i], q[i], p[i]) for i in range(0, len(keys), 7)]
    together = jax.jit(jax.vmap(verify))(keys, tokens, q, p)
    chex.assert_trees_all_equal(
        jax.tree.map(lambda *x: jnp.stack(x), *one_by_one),
        jax.tree.map(lambda x: x[::7], together),
    )


@functools.cache
def large_draft():
    """A draft of nine paths beyond the size from which bins are looked at, and p."""
    tree = full(9, 1, 1)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (tree.nodes, 5000))
    q = jax.nn.softmax(jnp.asarray(logits, jnp.float32))
    p = jax.nn.softmax(jnp.asarray(logits + rng.normal(0, 1, logits.shape), jnp.float32))
    tokens = jax.random.categorical(jax.random.key(0), jnp.log(q[np.maximum(tree.parents, 0)]))
    return Draft(tree, tokens.astype(jnp.int32), q, "iid"), p


@functools.cache
def large_chances():
    """The selected path of the large draft, and by depth the chance of each prefix, its upper end
    and its weight.
    """
    draft, p = large_draft()
    best = greedy_multi_path_block._select(draft, p)
    rows = []
    for depth in map(jnp.int32, range(draft.topology.height)):
        row = greedy_multi_path_block._own_law(best, depth, draft, p)
        chance = greedy_multi_path_block._chance(best, depth, row, p)
        upper = greedy_multi_path_block._highest_chance(best, depth, draft, p)
        rows.append((float(chance), float(upper), float(best.weight[depth])))
    return best.path.tolist(), rows


def test_the_upper_end_holds_and_is_near():
    """No chance is above it, and a sort is seldom in vain."""
    _, rows = large_chances()
    print(rows)
    for chance, upper, weight in rows:
        assert chance - 1e-6 <= upper <= chance + 0.1
        assert chance <= weight + 1e-6


@pytest.mark.parametrize("batch", [False, True])
def test_a_walk_ends_where_the_chances_say(batch):
    """A uniform just below the chance of a prefix ends the walk there, one just above does not."""
    draft, p = large_draft()
    path, rows = large_chances()
    some = [(depth, row[0]) for depth, row in enumerate(rows) if 0.01 < row[0] < 0.99]
    assert some
    uniforms, below = [], []
    for (depth, chance), sign in itertools.product(some, (-1, 1)):
        high = np.full((draft.topology.nodes + 1, 2), [1 - 1e-6, 0], np.float32)
        high[path[depth], 0] = chance + sign * 1e-4
        uniforms.append(high)
        below.append((depth, sign < 0))
    walk = jax.jit(lambda u: VERIFIER.walk(u, draft, p).verdict.length)
    found = jax.vmap(walk)(np.stack(uniforms)) if batch else [walk(u) for u in uniforms]
    for (depth, stays), length in zip(below, found, strict=True):
        assert (int(length) == depth + 1) == stays


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ("full:2,2", "takes independent paths of one length, got levels of 2 and 4 nodes"),
        ("branching:2,1", "takes independent paths of one length, got levels of 1 and 2 nodes"),
        ("branching:2,2", "got a node below the root with 2 children"),
    ],
)
def test_what_it_refuses(tree, words):
    topology = parse(tree)
    p = jnp.full((topology.nodes, 2), 0.5)
    draft = Draft(topology, jnp.zeros(topology.nodes, jnp.int32), p, "iid")
    with pytest.raises(ValueError, match=f"verifier greedy_multi_path_block: .*{words}"):
        VERIFIER.law(draft, p)


@pytest.mark.parametrize("scheme", ["without_replacement", "greedy"])
def test_schemes_that_it_refuses(scheme):
    p = jnp.full((5, 2), 0.5)
    draft = Draft(full(2, 1), jnp.zeros(5, jnp.int32), p, "iid")
    with pytest.raises(ValueError, match=f"its proof covers the schemes iid, not {scheme}"):
        VERIFIER.walk(jnp.zeros((6, 2)), dataclasses.replace(draft, scheme=scheme), p)


def test_a_root_alone():
    p = jnp.array([[0.25, 0.75]])
    law = VERIFIER.law(Draft(chain(0), jnp.zeros(1, jnp.int32), p, "iid"), p)
    assert jnp.allclose(law, p)
