"""The referee: the theory of speculative sampling in float64 NumPy and SciPy. It imports neither JAX nor specjax."""

from theory import battery, closed_form, drafting, growth, lp, paths, shapes, speed, subsets, tree_lp, trees, validate, worst
from theory.coupling import Coupling
from theory.drafting import Joint
from theory.problem import Bound, Problem
from theory.tree_lp import TreeBound
from theory.trees import Drawn, TreeProblem
from theory.validate import Check, is_coupling, is_law, is_lossless

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
    "closed_form",
    "drafting",
    "growth",
    "is_coupling",
    "is_law",
    "is_lossless",
    "lp",
    "paths",
    "shapes",
    "speed",
    "subsets",
    "tree_lp",
    "trees",
    "validate",
    "worst",
]
