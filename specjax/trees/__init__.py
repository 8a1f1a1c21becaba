"""Draft trees: their shape (`Topology`), the tree that was drawn (`Draft`), what a verifier makes of it (`Verdict`)."""

from specjax.trees.draft import Draft, Verdict
from specjax.trees.topology import NO_NODE, ROOT, Topology, chain, full, parse, star

__all__ = ["NO_NODE", "ROOT", "Draft", "Topology", "Verdict", "chain", "full", "parse", "star"]
