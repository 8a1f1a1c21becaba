"""Arithmetic of distributions: sums, residuals, draws and logit transforms, safe in float32 at any
V.
"""

from specjax.numerics.arithmetic import (
    acceptance_probability,
    add_at,
    divide,
    dot,
    epsilon,
    fixed,
    is_duplicate,
    normalise,
    residual,
    rounding_error,
    tiny,
    total,
)
from specjax.numerics.draws import (
    Place,
    arrivals,
    blocks,
    coin,
    draw,
    exponential,
    fine,
    first_arrivals,
    largest,
    pick,
    place,
    top_tokens,
    uniforms,
)
from specjax.numerics.sampling import (
    AS_IS,
    Sampling,
)

__all__ = [
    "AS_IS",
    "Place",
    "Sampling",
    "acceptance_probability",
    "add_at",
    "arrivals",
    "blocks",
    "coin",
    "divide",
    "dot",
    "draw",
    "epsilon",
    "exponential",
    "fine",
    "first_arrivals",
    "fixed",
    "is_duplicate",
    "largest",
    "normalise",
    "pick",
    "place",
    "residual",
    "rounding_error",
    "tiny",
    "top_tokens",
    "total",
    "uniforms",
]
