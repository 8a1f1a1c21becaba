"""The referee: the theory of speculative sampling in float64 NumPy and SciPy. It imports neither JAX nor specjax."""

from theory import battery, closed_form, drafting, lp, speed, subsets, validate, worst
from theory.coupling import Coupling
from theory.drafting import Joint
from theory.problem import Bound, Problem
from theory.validate import Check, is_coupling, is_law, is_lossless

__all__ = [
    "Bound",
    "Check",
    "Coupling",
    "Joint",
    "Problem",
    "battery",
    "closed_form",
    "drafting",
    "is_coupling",
    "is_law",
    "is_lossless",
    "lp",
    "speed",
    "subsets",
    "validate",
    "worst",
]
