"""Delayed trees: their shape, the verifiers that are lossless on them, and what the delay is
worth.
"""

import pytest

import theory
from experiments.audit import audit_verifier, candidate, lifted
from experiments.audits import walk_checks
from specjax import rules, trees
from specjax.trees import growth
from specjax.verifiers import Layer, TopDown, Traversal
from theory.layer import layer

WITHOUT = "recursive_rejection_without_replacement"
COVERED = [
    (lifted(TopDown, rules.get("recursive_rejection")), "iid"),
    (lifted(TopDown, rules.get(WITHOUT)), "without_replacement"),
    (candidate(Traversal), "iid"),
    (candidate(Traversal), "without_replacement"),
    (lifted(Layer, rules.get("optimal")), "iid"),
]
GOLDEN = [1 / 3, 2 / 3], [2 / 3, 1 / 3]


def test_a_stem_then_branches():
    assert trees.parse("delayed:2,3,2") == trees.full(1, 1, 3, 1)
    assert trees.parse("delayed:1,2,1") == trees.full(1, 2)
    tree = trees.delayed(stem=3, branches=4, length=2)
    assert (tree.nodes, tree.height, tree.width, tree.arities) == (12, 5, 4, (0, 1, 4))
    assert list(growth.drawable("delayed:1,2,2")) == list(growth.drawable("full:1,2,1"))


@pytest.mark.parametrize("text", ["delayed:2,3", "delayed:0,2,2", "delayed:2x3x2", "delayed:1,2,0"])
def test_what_names_no_delayed_tree_is_refused(text):
    with pytest.raises(ValueError, match="delayed:S,K,L with numbers >= 1"):
        trees.parse(text)
    with pytest.raises(ValueError, match="stem, branches, length: expected numbers >= 1"):
        trees.delayed(1, 2, 0)


@pytest.mark.parametrize(("one", "scheme"), COVERED, ids=lambda x: getattr(x, "name", x))
def test_verifiers_are_what_they_claim_on_it(one, scheme, monkeypatch):
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())
    row = audit_verifier(one, scheme, "delayed:1,2,2")
    print(row.verdict, row.expected_accepted, row.optimum)
    assert row.verdict == "ok"
    assert row.expected_accepted <= row.optimum + 1e-9


@pytest.mark.parametrize(
    ("tree", "found", "optimum"),
    [
        ("full:2,1", (120 / 81, 114 / 81, 123 / 81), 131 / 81),
        ("delayed:2,2,1", (122 / 81, 138 / 81, 141 / 81), 141 / 81),
    ],
)
def test_what_is_accepted(tree, found, optimum):
    """Of four drafts, by theory: the split delayed by two is worth 10/81 more, and layers attain
    it.
    """
    parents = tuple(trees.parse(tree).parents.tolist())
    drawn = theory.trees.drawn(theory.trees.everywhere(parents, *GOLDEN, "iid"))
    optimal = theory.verifiers.optimal("iid")
    verifiers = (theory.verifiers.top_down(optimal), theory.verifiers.traversal, layer(optimal))
    values = [theory.trees.expected_accepted(drawn, drawn.laws(one)) for one in verifiers]
    assert values == pytest.approx(found, abs=1e-12)
    assert theory.tree_lp.solve(drawn).value == pytest.approx(optimum, abs=1e-9)
