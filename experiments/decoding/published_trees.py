"""The trees that published methods draft within a budget of verified tokens."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory import tree_shapes

WIDTHS = (2, 4, 8)  # of beams and numbers of paths
GROWN = 8  # the width of trees of which the best nodes are verified
REJECTION = "recursive_rejection_without_replacement"


class Limits(NamedTuple):
    """What a tree is chosen by.

    Attributes:
      budget: drafts that are verified, at most.
      depth: of the trees of every method, at most: the draft model runs once for each level.
      acceptance: [B], the chance of the child in each slot, given its parent.
    """

    budget: int
    depth: int
    acceptance: NDArray[np.float64]


class Method(NamedTuple):
    """Who drafts how.

    Attributes:
      scheme: how the children of a node are drawn.
      verifiers: rules and verifiers of such trees, that of the publication first.
      trees: the trees within the limits, as `specjax compare --tree` reads them.
    """

    scheme: str
    verifiers: tuple[str, ...]
    trees: Callable[[Limits], tuple[str, ...]]


def _chain(limits: Limits) -> tuple[str, ...]:
    return (f"chain:{min(limits.budget, limits.depth)}",)


def _constant(limits: Limits) -> tuple[str, ...]:
    widths = tree_shapes.constant_branching(limits.acceptance, limits.budget, limits.depth)
    return (f"full:{_joined(widths)}",)


def sequoia(limits: Limits) -> tuple[str, ...]:
    """The best tree where a child's chance depends on its slot alone."""
    nodes = limits.budget + 1
    parents = tree_shapes.sequoia(limits.acceptance, nodes, limits.depth).parents(
        nodes, limits.depth
    )
    return (f"branching:{_joined(np.bincount(parents[1:]).tolist())}",)


def _wide(kind: str) -> Callable[[Limits], tuple[str, ...]]:
    """Trees of equal width at every level that spend the budget, more than one level deep; none if
    that takes too many levels.
    """

    def trees(limits: Limits) -> tuple[str, ...]:
        shapes = [(width, limits.budget // width) for width in WIDTHS]
        return tuple(
            f"{kind}:{width}x{depth}" for width, depth in shapes if 2 <= depth <= limits.depth
        )

    return trees


def _grown(kind: str) -> Callable[[Limits], tuple[str, ...]]:
    def trees(limits: Limits) -> tuple[str, ...]:
        width = min(limits.budget, GROWN)
        depth = min(limits.budget, limits.depth)
        return (f"{kind}:{min(limits.budget, width * depth) + 1}x{width}x{depth}",)

    return trees


def _joined(numbers: tuple[int, ...] | list[int]) -> str:
    return ",".join(map(str, numbers))


SINGLE = "single path"
METHODS = {
    SINGLE: Method("iid", ("recursive_rejection", "block"), _chain),
    "RSD-C": Method("without_replacement", (REJECTION, "traversal"), _constant),
    "RSD-S": Method("without_replacement", (REJECTION,), _wide("beam")),
    "SpecTr": Method(
        "iid",
        ("kseq", "optimal", "traversal", "layer:optimal", "greedy_multi_path_block"),
        _wide("paths"),
    ),
    "Sequoia": Method("without_replacement", (REJECTION, "traversal"), sequoia),
    "best first": Method("top_n", ("one_hot",), _grown("best_first")),
    "sampled best first": Method("without_replacement", (REJECTION,), _grown("sampled_best_first")),
}
# better than a single path
CLAIMS = {"RSD-C": "jeon2024recursive", "RSD-S": "jeon2024recursive", "SpecTr": "sun2023spectr"}
