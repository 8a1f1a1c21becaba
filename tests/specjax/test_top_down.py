"""The exact law of the emitted sequence, by enumeration over all drafted trees; and that what is
drawn has it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import rules
from specjax.trees import Draft, chain, full, parse, star
from specjax.trees.topology import from_parents
from specjax.verifiers import TopDown, top_down
from tests.helpers.sampling import assert_drawn_from
from tests.helpers.tree_laws import TREES, EmittedLaw, one_tree, outcome, random_world

VOCABULARY = 3
RULES = [
    ("recursive_rejection", "iid"),
    ("recursive_rejection_without_replacement", "without_replacement"),
    ("greedy", "greedy"),
]


def sequence_loss(name: str, rule: str, scheme: str, change=lambda draft, p: (draft, p)) -> float:
    """Total variation between the target's law of D + 1 tokens and that of what is emitted."""
    topology = TREES[name]
    return EmittedLaw(TopDown(rules.get(rule)()), topology, scheme, change)(
        random_world(VOCABULARY, topology.height, 1)
    ).loss


@pytest.mark.parametrize(("rule", "scheme"), RULES)
@pytest.mark.parametrize("tree", ["chain", "star", "binary", "ragged"])
def test_emitted_sequence_has_the_law_of_the_target(tree, rule, scheme):
    loss = sequence_loss(tree, rule, scheme)
    print(f"total variation {loss:.1e}")
    assert loss < 1e-12


def count_equal_siblings_twice(monkeypatch):
    monkeypatch.setattr(
        top_down, "draft_mass", lambda view, law: jnp.where(view.mask, law[view.tokens], 0)
    )


def forget_that_children_are_missing(monkeypatch):
    right = top_down.node_view

    def all_live(draft, node):
        view = right(draft, node)
        return view._replace(mask=jnp.ones_like(view.mask))

    monkeypatch.setattr(top_down, "node_view", all_live)


def rows_of_the_parents(draft, p):
    return draft, p[jnp.maximum(jnp.asarray(draft.topology.parents), 0)]


def another_draft_law(draft, p):
    return Draft(draft.topology, draft.tokens, draft.q[::-1], draft.scheme), p


@pytest.mark.parametrize(
    ("tree", "mistake"),
    [
        ("binary", count_equal_siblings_twice),
        ("star", count_equal_siblings_twice),
        ("ragged", forget_that_children_are_missing),
    ],
)
def test_a_mistaken_walk_is_caught(tree, mistake, monkeypatch):
    mistake(monkeypatch)
    assert sequence_loss(tree, "recursive_rejection", "iid") > 1e-3


@pytest.mark.parametrize("change", [rows_of_the_parents, another_draft_law])
def test_wrong_rows_are_caught(change):
    assert sequence_loss("ragged", "recursive_rejection", "iid", change) > 1e-3


def test_a_rule_outside_its_proof_is_caught():
    assert sequence_loss("binary", "recursive_rejection", "without_replacement") > 1e-3


@pytest.mark.thorough
@pytest.mark.key_reuse
@pytest.mark.parametrize("tree", ["binary", "ragged"])
def test_walks_have_the_law(tree, key):
    """On a tree with equal siblings, where the walk must go on at the first."""
    topology, verifier = TREES[tree], TopDown(rules.get("recursive_rejection")())
    drawn, p = one_tree(
        random_world(VOCABULARY, topology.height, 1),
        topology,
        "iid",
        (1, 1, 0, 2, 1, 0)[: topology.nodes - 1],
    )
    law = np.asarray(jax.jit(verifier.law)(drawn, p), np.float64)
    draws = jax.vmap(lambda key: outcome(verifier.verify(key, drawn, p), VOCABULARY))
    assert_drawn_from(jax.jit(draws)(jax.random.split(key, 40_000)), law.reshape(-1))


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
    assert [np.flatnonzero(row).tolist() for row in ancestors] == [
        [0],
        [0, 1],
        [0, 2],
        [0, 1, 3],
        [0, 1, 4],
        [0, 2, 5],
    ]


@pytest.mark.parametrize(
    "text", ["", "chain", "chain:0", "chain:1,2", "star:x", "full:", "full:2,0", "ring:3"]
)
def test_what_names_no_tree(text):
    with pytest.raises(ValueError, match="tree: expected none, chain:D"):
        parse(text)


@pytest.mark.parametrize("parents", [[], [0], [-1, 1], [-1, 0, 1, 0], [-1, -1]])
def test_what_is_no_tree(parents):
    with pytest.raises(ValueError, match="parents: expected"):
        from_parents(parents)
