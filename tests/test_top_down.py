"""The exact law of the emitted sequence, by enumeration over all drafted trees; and that what is drawn has it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stats import assert_drawn_from

import theory
from specjax import rules
from specjax.trees import Draft, Topology, chain, full, parse, star
from specjax.trees.topology import from_parents
from specjax.verifiers import TopDown, top_down

VOCABULARY = 3
TREES = {"chain": chain(2), "star": star(2), "binary": full(2, 2), "ragged": from_parents([-1, 0, 0, 1, 1, 2])}
RULES = [("recursive_rejection", "iid"), ("recursive_rejection_without_replacement", "without_replacement"), ("greedy", "greedy")]


def after(prefix: tuple[int, ...], seed: int) -> np.ndarray:
    """The law of the next token after a prefix: any law, but always the same."""
    return np.random.default_rng((seed, 7, *prefix)).dirichlet(np.ones(VOCABULARY))


def target(prefix):
    return after(prefix, 1)


def draft(prefix):
    return after(prefix, 2)


def paths(topology: Topology, tokens: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What was drafted on the way to each node."""
    found = [()]
    for parent, token in zip(topology.parents[1:], tokens, strict=True):
        found.append((*found[parent], token))
    return found


def trees(topology: Topology, scheme: str) -> tuple[np.ndarray, ...]:
    """All drafted trees: tokens [T, N], p and q [T, N, V], and their probabilities [T]."""
    found = []
    for tokens in itertools.product(range(VOCABULARY), repeat=topology.nodes - 1):
        ways = paths(topology, tokens)
        mass = 1.0
        for node, children in enumerate(topology.children):
            drafts = [tokens[child - 1] for child in children if child > 0]
            mass *= drafting_mass(scheme, ways[node], tuple(drafts)) if drafts else 1.0
        if mass:
            found.append(((0, *tokens), [target(way) for way in ways], [draft(way) for way in ways], mass))
    return tuple(np.array(column) for column in zip(*found, strict=True))


def drafting_mass(scheme: str, prefix: tuple[int, ...], drafts: tuple[int, ...]) -> float:
    joint = theory.Problem(target(prefix), draft(prefix), len(drafts), scheme).joint()
    return dict(zip(map(tuple, joint.tokens.tolist()), joint.mass, strict=True)).get(drafts, 0.0)


def sequence_loss(name: str, rule: str, scheme: str, change=lambda draft, p: (draft, p)) -> float:
    """Total variation between the target's law of D + 1 tokens and that of what is emitted, continued by the target."""
    topology = TREES[name]
    tokens, p, q, mass = trees(topology, scheme)

    def law(tokens, p, q):
        return TopDown(rules.get(rule)()).law(*change(Draft(topology, tokens, q, scheme), p))

    with jax.enable_x64(True):
        laws = np.asarray(jax.jit(jax.vmap(law))(tokens.astype(np.int32), p, q))
    length = topology.height + 1
    emitted = np.zeros((VOCABULARY,) * length)
    for tree, way_law, weight in zip(tokens, laws, mass, strict=True):
        for node, way in enumerate(paths(topology, tree[1:].tolist())):
            for token in range(VOCABULARY):
                emitted[(*way, token)] += weight * way_law[node, token] * continuation((*way, token), length)
    return float(np.abs(emitted - continuation((), length)).sum() / 2)


def continuation(prefix: tuple[int, ...], length: int) -> np.ndarray:
    """The target's law of what follows a prefix, up to `length` tokens in all."""
    if len(prefix) == length:
        return np.ones(())
    return np.stack([probability * continuation((*prefix, token), length) for token, probability in enumerate(target(prefix))])


@pytest.mark.parametrize(("rule", "scheme"), RULES)
@pytest.mark.parametrize("tree", TREES)
def test_emitted_sequence_has_the_law_of_the_target(tree, rule, scheme):
    loss = sequence_loss(tree, rule, scheme)
    print(f"total variation {loss:.1e}")
    assert loss < 1e-12


def count_equal_siblings_twice(monkeypatch):
    monkeypatch.setattr(top_down, "draft_mass", lambda view, law: jnp.where(view.mask, law[view.tokens], 0))


def forget_that_children_are_missing(monkeypatch):
    right = top_down.at

    def all_live(draft, node):
        view = right(draft, node)
        return view._replace(mask=jnp.ones_like(view.mask))

    monkeypatch.setattr(top_down, "at", all_live)


def rows_of_the_parents(draft, p):
    return draft, p[jnp.maximum(jnp.asarray(draft.topology.parents), 0)]


def another_draft_law(draft, p):
    return Draft(draft.topology, draft.tokens, draft.q[::-1], draft.scheme), p


@pytest.mark.parametrize(
    ("tree", "mistake"),
    [("binary", count_equal_siblings_twice), ("star", count_equal_siblings_twice), ("ragged", forget_that_children_are_missing)],
)
def test_a_mistaken_walk_is_caught(tree, mistake, monkeypatch):
    mistake(monkeypatch)
    assert sequence_loss(tree, "recursive_rejection", "iid") > 1e-3


@pytest.mark.parametrize("change", [rows_of_the_parents, another_draft_law])
def test_wrong_rows_are_caught(change):
    assert sequence_loss("ragged", "recursive_rejection", "iid", change) > 1e-3


def test_a_rule_outside_its_proof_is_caught():
    assert sequence_loss("binary", "recursive_rejection", "without_replacement") > 1e-3


@pytest.mark.key_reuse
@pytest.mark.parametrize("tree", ["binary", "ragged"])
def test_walks_have_the_law(tree, key):
    """On a tree with equal siblings, where the walk must go on at the first."""
    topology, verifier = TREES[tree], TopDown(rules.get("recursive_rejection")())
    tokens = (1, 1, 0, 2, 1, 0)[: topology.nodes - 1]
    ways = paths(topology, tokens)
    p, q = (jnp.array([law(way) for way in ways], jnp.float32) for law in (target, draft))
    drawn = Draft(topology, jnp.array((0, *tokens)), q, "iid")
    law = np.asarray(jax.jit(verifier.law)(drawn, p), np.float64)

    def end(key):
        verdict = verifier.verify(key, drawn, p)
        last = verdict.length - 1
        return verdict.path[last] * VOCABULARY + verdict.tokens[last]

    assert_drawn_from(jax.jit(jax.vmap(end))(jax.random.split(key, 40_000)), law.reshape(-1))


def test_builders_agree():
    assert parse("chain:2") == chain(2) == full(1, 1)
    assert parse("star:3") == star(3) == full(3)
    assert parse("full:2,2") == full(2, 2) == from_parents([-1, 0, 0, 1, 1, 2, 2])
    assert chain(0).nodes == 1
    assert chain(0).height == 0
    ragged = TREES["ragged"]
    assert (ragged.nodes, ragged.width, ragged.height, ragged.arities) == (6, 2, 2, (0, 1, 2))
    assert ragged.children.tolist() == [[1, 2], [3, 4], [5, -1], [-1, -1], [-1, -1], [-1, -1]]
    ancestors = np.asarray(ragged.ancestors())
    assert [np.flatnonzero(row).tolist() for row in ancestors] == [[0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5]]


@pytest.mark.parametrize("text", ["", "chain", "chain:0", "chain:1,2", "star:x", "full:", "full:2,0", "ring:3"])
def test_what_names_no_tree(text):
    with pytest.raises(ValueError, match="tree: expected chain:D"):
        parse(text)


@pytest.mark.parametrize("parents", [[], [0], [-1, 1], [-1, 0, 1, 0], [-1, -1]])
def test_what_is_no_tree(parents):
    with pytest.raises(ValueError, match="parents: expected"):
        from_parents(parents)
