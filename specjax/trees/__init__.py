"""Draft trees: their shape (`Topology`), how they grow (`TreeDrafting`), what was drawn (`Draft`),
the `Verdict` on it.
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
    "from_parents",
    "full",
    "growth",
    "parse",
    "star",
]


def __dir__() -> list[str]:
    return sorted(__all__)
