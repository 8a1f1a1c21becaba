"""Draft trees: their shape, how they grow, what was drawn, and the verdict.

`Topology` is the shape, `TreeDrafting` grows a tree, `Draft` holds what was drawn, and `Verdict`
what was emitted.
"""

from specjax.trees import growth
from specjax.trees.draft import Draft, Verdict
from specjax.trees.growth import TreeDrafting
from specjax.trees.topology import (
    NO_NODE,
    ROOT,
    Topology,
    branching,
    chain,
    delayed,
    from_parents,
    full,
    parse,
    star,
)

__all__ = [
    "NO_NODE",
    "ROOT",
    "Draft",
    "Topology",
    "TreeDrafting",
    "Verdict",
    "branching",
    "chain",
    "delayed",
    "from_parents",
    "full",
    "growth",
    "parse",
    "star",
]


def __dir__() -> list[str]:
    return sorted(__all__)
