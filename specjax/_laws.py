"""What is no law is refused at the front doors: by the bounds, and by every method of a rule that
takes laws.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from specjax import _registry
from specjax._types import Claims

T = TypeVar("T")
R = TypeVar("R")
# where p stands among the arguments, before q
LAWS = {"law": 2, "expected_acceptance": 1, "certificate": 1}
SUM = 1e-3  # a sum further than this from 1 is no rounding


def check_laws(p: Array, q: Array, slots: bool) -> None:
    """Refuse what is not one pair of laws; under jit, where values are not known yet, only shapes
    and dtypes are looked at.

    Args:
      slots: q may be [n, V], a law for each draft.

    Raises:
      ValueError: a shape, dtype or value is not that of a law.
    """
    one = "one law at a time, use jax.vmap for a batch"
    if np.ndim(p) != 1:
        raise ValueError(f"p: expected shape [V], {one}, got {np.shape(p)}")
    if np.shape(q)[-1:] != np.shape(p) or np.ndim(q) > 1 + slots:
        raise ValueError(
            f"q: expected shape [{'n, ' if slots else ''}{np.shape(p)[0]}], {one}, got "
            f"{np.shape(q)}"
        )
    for name, law in (("p", p), ("q", q)):
        if not jnp.issubdtype(law.dtype, jnp.floating):
            raise ValueError(f"{name}: expected probabilities in a float dtype, got {law.dtype}")
        if not isinstance(law, jax.core.Tracer):
            _check_values(
                name, np.asarray(law, np.float64), max(SUM, float(jnp.finfo(law.dtype).eps))
            )


def _check_values(name: str, law: np.ndarray, tolerance: float) -> None:
    bad = law[~(np.isfinite(law) & (law >= 0))]
    if bad.size:
        raise ValueError(
            f"{name}: expected finite probabilities of at least 0, got {bad[0]}: logits become a "
            "law by Sampling().law"
        )
    sums = law.sum(-1).reshape(-1)
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > tolerance:
        raise ValueError(f"{name}: expected a sum within {tolerance:g} of 1, got {worst:.6g}")


@dataclass_transform(frozen_default=True)
def register(cls: type[T]) -> type[T]:
    """Register a rule; its methods then refuse what is no law, as `check_laws` does."""
    claims: Claims | None = getattr(cls, "claims", None)
    slots = claims is not None and "independent" in claims.drafting
    for name, place in LAWS.items():
        method = getattr(cls, name, None)
        if method and _takes_both(method, place):
            setattr(cls, name, _checked(method, place, slots))
    return _registry.register(cls)


def _takes_both(method: Callable[..., object], place: int) -> bool:
    """Whether a method is there to be called, and with both laws: a verifier's takes no q."""
    there = not getattr(method, "__isabstractmethod__", False)
    return there and len(inspect.signature(method).parameters) >= place + 2


def _checked(method: Callable[..., R], place: int, slots: bool) -> Callable[..., R]:
    """The method, once p and q are seen to be laws."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*arguments: object, **named: object) -> R:
        given = list(signature.bind(*arguments, **named).arguments.values())
        p, q = given[place : place + 2]
        check_laws(p, q, slots)
        return method(*arguments, **named)

    return checked
