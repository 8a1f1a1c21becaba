"""What the checks allow for rounding, what makes numbers no law, and the laws that float32 cannot
tell from a law.
"""

import numpy as np

from experiments.enumeration.rule_laws import Array

# Float64 sums of at most CELLS terms that total 1: pairwise rounding stays below 1e-14. The laws'
# own solvers (K-SEQ's root) end within a few hundred ulp, and theory's joint laws are exact to
# 1e-15 a factor.
EXACT = 1e-12
# Theory states its optimum to 1e-10 (the race integral). Closed forms are held to ten times that.
OPTIMUM = 1e-9
# Float32: rows sum to 1 within V + n roundings of 6e-8. What is emitted on average is held to 1e-6,
# 8 ulp of 1.
SINGLE = 1e-6
# Two roundings of float32 at the most, and how many laws nearby are looked at.
ULP = 2.0**-22
NEARBY = 16


def law_faults(laws: Array, axes: int | tuple[int, ...]) -> list[tuple[Array, str]]:
    """How far each law, over these axes, is from being one, and in what words."""
    return [
        (np.where(np.isfinite(laws).all(axes), 0.0, 1.0), "holds a number that is not finite"),
        (np.maximum(-laws, 0).max(axes), "has a negative entry"),
        (np.abs(laws.sum(axes) - 1), "does not sum to 1"),
    ]


def near(law: Array, rng: np.random.Generator) -> Array:
    """Laws that float32 cannot tell from these."""
    moved = law * (1 + rng.uniform(-ULP, ULP, law.shape))
    laws: Array = moved / moved.sum(-1, keepdims=True)
    return laws


def off(values: Array, low: Array, high: Array) -> Array:
    """How far values lie outside of their intervals."""
    return np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0), nan=np.inf)
