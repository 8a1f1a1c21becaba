"""Trees from lists: of parents, of branching numbers, of children in level order."""

import numpy as np
import pytest

from specjax import trees


@pytest.mark.parametrize(
    ("counts", "same"),
    [
        ((2, 2, 2), trees.full(2, 2)),
        ((1, 1, 1), trees.chain(3)),
        ((3,), trees.star(3)),
        ((), trees.chain(0)),
        ((2, 1, 0), trees.branching(2, 1)),
    ],
)
def test_children_in_level_order_give_the_tree(counts, same):
    assert trees.branching(*counts) == same


def test_a_tree_is_read_back_from_its_counts():
    parents = [-1, 0, 0, 1, 1, 2, 4]
    counts = np.bincount(parents[1:])
    assert trees.parse(f"branching:{','.join(map(str, counts))}") == trees.from_parents(parents)
    assert trees.branching(2, 1, 2, 0, 1) != trees.from_parents(parents)


@pytest.mark.parametrize("counts", [(1, 0, 1), (2, -1), (0, 1)])
def test_counts_of_nodes_that_are_not_there_are_refused(counts):
    with pytest.raises(ValueError, match="branching: expected counts >= 0 of nodes that are there"):
        trees.branching(*counts)


@pytest.mark.parametrize(
    "text",
    [
        "branching:",
        "branching:0",
        "branching:2,x",
        "branching:-1",
        "branching:1,0,1",
        "full:2,0",
        "chain:0",
    ],
)
def test_what_names_no_tree_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        trees.parse(text)
