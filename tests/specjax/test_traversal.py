"""Traversal verification: exact on every tree, what the book says, and drawn as its law says."""

import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.trees import NO_NODE, Draft, chain, full, star
from specjax.verifiers import Block, Traversal, _leaf_first, traversal
from tests.helpers.sampling import assert_drawn_from
from tests.helpers.tree_laws import (
    TREES,
    EmittedLaw,
    assert_single_precision_is_enough,
    battery_worlds,
    constant_world,
    draw_all,
    one_tree,
    outcome,
    random_world,
    vocabulary_of,
    walk_law,
)

pytestmark = pytest.mark.thorough

SCHEMES = sorted(Traversal.claims.drafting)


def by_the_book(topology, scheme: str, tokens, active, p, q) -> np.ndarray:
    """The law of the walk, node by node in the words of the recursion: every residual is a vector
    of its own.
    """
    law = np.zeros(p.shape)

    def process(node: int, weight: float, reached: float) -> float:
        """The probability that the walk comes past this node."""
        r, d = p[node], q[node].copy()
        for child in topology.children[node]:
            if child == NO_NODE or not active[child]:
                continue
            x = tokens[child]
            reached = process(
                child, min(1.0, weight * r[x] / d[x]) if d[x] else float(weight * r[x] > 0), reached
            )
            rest = np.maximum(weight * r - d, 0)
            weight = rest.sum() / (rest.sum() + 1 - weight) if weight < 1 else 1.0
            r = rest / rest.sum() if rest.sum() else p[node]
            if scheme == "without_replacement":
                d[x] = 0
                d = d / d.sum() if d.sum() else d
        law[node] = reached * weight * r
        return reached * (1 - weight)

    process(0, 1.0, 1.0)
    return law


def audited(tree: str, scheme: str, vocabulary: int, dtype=np.float64) -> dict:
    topology = TREES[tree]
    emitted = EmittedLaw(Traversal(), topology, scheme, dtype=dtype)
    worlds = battery_worlds(vocabulary, topology.height)
    worlds |= {
        f"random {seed}": random_world(vocabulary, topology.height, seed) for seed in range(5)
    }
    return {name: emitted(world) for name, world in worlds.items()}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tree", TREES)
def test_is_exact(tree, scheme):
    found = audited(tree, scheme, vocabulary_of(TREES[tree]))
    print({name: f"{verdict.loss:.1e}" for name, verdict in found.items()})
    assert max(verdict.loss for verdict in found.values()) < 1e-12
    assert max(verdict.excess for verdict in found.values()) < 1e-12


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tree", ["star", "ragged"])
def test_single_precision(tree, scheme):
    found = audited(tree, scheme, 3, np.float32)
    print(
        {name: f"{verdict.loss:.1e}" for name, verdict in found.items()},
        max(f.excess for f in found.values()),
    )
    assert max(verdict.loss for verdict in found.values()) < 1e-6
    assert max(verdict.excess for verdict in found.values()) < 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_single_precision_at_a_large_vocabulary(scheme):
    assert_single_precision_is_enough(Traversal(), TREES["ragged"], scheme, 131072)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nodes_that_were_never_drawn(scheme):
    """Every pattern, on one trace."""
    emitted = EmittedLaw(Traversal(), TREES["ragged"], scheme)
    for active in itertools.product((True, False), repeat=5):
        emitted.topology = dataclasses.replace(TREES["ragged"], active=np.array([True, *active]))
        assert emitted(random_world(2, 2, 3)).loss < 1e-12, active


@pytest.mark.parametrize("missing", [1, 2])
def test_what_hangs_below_a_missing_node_is_missing(missing):
    """Also where it says of itself that it was drawn."""
    topology = dataclasses.replace(TREES["ragged"], active=np.arange(6) != missing)
    emitted = EmittedLaw(
        Traversal(),
        topology,
        "iid",
        lambda draft, p: (dataclasses.replace(draft, topology=topology), p),
    )
    assert emitted(random_world(2, 2, 3)).loss < 1e-12


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tree", TREES)
def test_is_what_the_book_says(tree, scheme):
    """On every tree that can be drawn."""
    topology = TREES[tree]
    trees = draw_all(random_world(2, topology.height, 1), topology, scheme)
    laws = EmittedLaw(Traversal(), topology, scheme).laws(trees)
    for row in np.flatnonzero(trees.mass):
        book = by_the_book(topology, scheme, *(column[row] for column in trees[:4]))
        assert np.abs(laws[row] - book).max() < 1e-12


@pytest.mark.parametrize("depth", [1, 4])
def test_on_one_path_it_is_block_verification(depth):
    emitted = [EmittedLaw(verifier(), chain(depth), "iid") for verifier in (Block, Traversal)]
    for name, world in battery_worlds(2, depth).items():
        trees = draw_all(world, chain(depth), "iid")
        one, other = (law.laws(trees) for law in emitted)
        assert np.abs(one - other)[trees.mass > 0].max() < 1e-12, name


def forget_that_children_are_missing(monkeypatch):
    def all_live(draft, node):
        view = right(draft, node)
        return view._replace(mask=jnp.ones_like(view.mask))

    right = traversal.node_view
    monkeypatch.setattr(traversal, "node_view", all_live)


def siblings_backwards(monkeypatch):
    right = _leaf_first.postorder

    def backwards(topology):
        return right(dataclasses.replace(topology, children=topology.children[:, ::-1]))

    monkeypatch.setattr(_leaf_first, "postorder", backwards)


def parents_before_children(monkeypatch):
    monkeypatch.setattr(_leaf_first, "postorder", lambda topology: jnp.argsort(-topology.depth))


def every_child_sees_the_first_residual(monkeypatch):
    right = traversal._try_children

    def wrong(view, p, q, left, weight):
        tried = right(view, p, q, left, weight)
        return tried._replace(given=jnp.minimum(1, weight * p[view.tokens] / q[view.tokens]))

    monkeypatch.setattr(traversal, "_try_children", wrong)


def bonus_from_the_parent(monkeypatch):
    right = _leaf_first.law
    monkeypatch.setattr(
        _leaf_first,
        "law",
        lambda ends, draft, p: right(ends, draft, p[np.maximum(draft.topology.parents, 0)]),
    )


def denominators_stay_whole(monkeypatch):
    monkeypatch.setitem(traversal._LEFT, "without_replacement", traversal._all)


MISTAKES = [
    ("ragged", "iid", forget_that_children_are_missing),
    ("ragged", "iid", siblings_backwards),
    ("binary", "iid", parents_before_children),
    ("star", "iid", every_child_sees_the_first_residual),
    ("binary", "iid", bonus_from_the_parent),
    ("star", "without_replacement", denominators_stay_whole),
]


@pytest.mark.parametrize(("tree", "scheme", "mistake"), MISTAKES)
def test_a_mistake_is_caught(tree, scheme, mistake, monkeypatch):
    mistake(monkeypatch)
    loss = EmittedLaw(Traversal(), TREES[tree], scheme)(random_world(3, TREES[tree].height, 1)).loss
    print(loss)
    assert loss > 1e-3


@pytest.mark.parametrize("tree", ["star", "binary"])
@pytest.mark.parametrize("claimed", SCHEMES)
def test_the_other_scheme_is_caught(claimed, tree):
    drawn = next(scheme for scheme in SCHEMES if scheme != claimed)
    emitted = EmittedLaw(
        Traversal(),
        TREES[tree],
        drawn,
        lambda draft, p: (dataclasses.replace(draft, scheme=claimed), p),
    )
    loss = emitted(random_world(3, TREES[tree].height, 1)).loss
    print(loss)
    assert loss > 1e-3


WALKS = [
    ("ragged", "iid", (0, 1, 1, 1, 0)),
    ("binary", "iid", (1, 1, 0, 0, 1, 1)),
    ("ragged", "without_replacement", (0, 1, 1, 0, 1)),
]


@pytest.mark.parametrize(("tree", "scheme", "tokens"), WALKS)
def test_walks_are_what_the_law_says(tree, scheme, tokens):
    """Exact over the nodes, within V / 64 over the tokens."""
    with jax.enable_x64(True):
        drawn, p = one_tree(random_world(2, 2, 4), TREES[tree], scheme, tokens)
        law = np.asarray(Traversal().law(drawn, p))
        walked = walk_law(Traversal(), drawn, p, 64)
    assert np.abs(law.sum(1) - walked.sum(1)).max() < 1e-12
    assert (np.abs(law - walked) <= law.sum(1, keepdims=True) / 64 + 1e-12).all()


@pytest.mark.key_reuse
@pytest.mark.parametrize(
    ("scheme", "tokens"), [("iid", (1, 1, 0, 2, 1)), ("without_replacement", (1, 0, 0, 2, 1))]
)
def test_walks_have_the_law(scheme, tokens, key):
    drawn, p = one_tree(random_world(3, 2, 4), TREES["ragged"], scheme, tokens)
    law = np.asarray(jax.jit(Traversal().law)(drawn, p), np.float64)
    draws = jax.vmap(lambda key: outcome(Traversal().verify(key, drawn, p), 3))
    assert_drawn_from(jax.jit(draws)(jax.random.split(key, 40_000)), law.reshape(-1))


def test_one_trace_serves_all_contexts_and_batches(key):
    """With a topology that is traced, as that of a tree grown while decoding."""
    topology = jax.tree.map(jnp.asarray, TREES["ragged"])
    trees = draw_all(random_world(2, 2, 6), topology, "iid")
    active = jnp.array([[True] * 6, [True, True, True, False, True, False]] * 4)
    rows = [
        active,
        *(
            jnp.asarray(column[20:28])
            for column in (trees.tokens.astype(np.int32), trees.q, trees.p)
        ),
    ]
    keys = jax.random.split(key, 8)

    def verify(topology, key, active, tokens, q, p):
        return Traversal().verify(
            key, Draft(dataclasses.replace(topology, active=active), tokens, q, "iid"), p
        )

    chex.clear_trace_counter()
    single = jax.jit(chex.assert_max_traces(verify, 1))
    one_by_one = [single(topology, *(x[i] for x in (keys, *rows))) for i in range(8)]
    together = jax.jit(jax.vmap(verify, (None, *[0] * 5)))(topology, keys, *rows)
    chex.assert_trees_all_equal(jax.tree.map(lambda *x: jnp.stack(x), *one_by_one), together)


def test_the_loops_do_not_grow_with_the_tree():
    """One program, whose length depends on neither the number of nodes nor that of children."""
    shapes = [star(4), star(40), full(2, 2), full(2, 2, 2, 2, 2)]
    lengths = [
        str(jax.make_jaxpr(Traversal().ends)(*_large(topology))).count(" = ") for topology in shapes
    ]
    print(lengths)
    assert len(set(lengths)) == 1


def _large(topology):
    law = jnp.full((topology.nodes, 8), 1 / 8)
    return Draft(topology, jnp.zeros(topology.nodes, jnp.int32), law, "iid"), law


def test_what_it_refuses():
    drawn, p = _large(star(2))
    with pytest.raises(
        ValueError,
        match="verifier traversal: its proof covers the schemes iid, without_replacement, "
        "not greedy",
    ):
        Traversal().law(dataclasses.replace(drawn, scheme="greedy"), p)


def test_a_root_alone_and_a_peaked_draft():
    """Nothing drafted: the target's law. A draft that leaves 1e-7 of q: what remains keeps its
    digits in single precision.
    """
    drawn, p = _large(chain(0))
    assert np.allclose(Traversal().law(drawn, p), p)
    assert np.allclose(Block().law(drawn, p), p)
    q = np.array([1 - 1e-7, 0.6e-7, 0.4e-7])
    loss = EmittedLaw(Traversal(), star(2), "without_replacement", dtype=np.float32)(
        constant_world((0.2, 0.5, 0.3), q, 1)
    ).loss
    print(loss)
    assert loss < 1e-6
