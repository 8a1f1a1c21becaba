"""The referee: the theory of speculative sampling in float64 NumPy and SciPy.

It imports neither JAX nor specjax.
"""

from theory import (
    battery,
    checks,
    closed_form,
    contexts,
    couplings,
    curve,
    drafting,
    front,
    growth,
    layer,
    lossy,
    lossy_rules,
    lp,
    multi_path,
    nearest,
    penalties,
    practices,
    problem,
    sampling,
    selection,
    speed,
    spending,
    subsets,
    trade_offs,
    transport,
    tree_front,
    tree_lp,
    tree_problems,
    tree_shapes,
    trees,
    typical_path,
    verifiers,
    worst_pairs,
)
from theory.checks import Check, is_coupling, is_law, is_lossless
from theory.drafting import Joint
from theory.problem import Bound, Problem
from theory.transport import Coupling
from theory.tree_lp import TreeBound
from theory.tree_problems import TreeProblem
from theory.trees import Drawn

__all__ = [
    "Bound",
    "Check",
    "Coupling",
    "Drawn",
    "Joint",
    "Problem",
    "TreeBound",
    "TreeProblem",
    "battery",
    "checks",
    "closed_form",
    "contexts",
    "couplings",
    "curve",
    "drafting",
    "front",
    "growth",
    "is_coupling",
    "is_law",
    "is_lossless",
    "layer",
    "lossy",
    "lossy_rules",
    "lp",
    "multi_path",
    "nearest",
    "penalties",
    "practices",
    "problem",
    "sampling",
    "selection",
    "speed",
    "spending",
    "subsets",
    "trade_offs",
    "transport",
    "tree_front",
    "tree_lp",
    "tree_problems",
    "tree_shapes",
    "trees",
    "typical_path",
    "verifiers",
    "worst_pairs",
]


def __dir__() -> list[str]:
    return sorted(__all__)
