"""Checks that p and q are laws, in the bounds and in every method of a rule that takes both."""

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
from specjax.numerics import epsilon

T = TypeVar("T")
R = TypeVar("R")
# where p stands among the arguments, before q
LAWS = {"law": 2, "expected_acceptance": 1, "accepted_mass": 1, "emitted": 1, "certificate": 1}
SUM = 1e-3  # a sum further than this from 1 is no rounding


def check_laws(p: Array, q: Array, slots: bool) -> None:
    """Refuse inputs that are not one pair of laws.

    Under jit the values are not known yet, so only shapes and dtypes are checked.

    Args:
      p: target law, expected shape [V].
      q: draft law, expected shape [V], or [n, V] if `slots` is true.
      slots: whether q may hold one law for each draft.

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
            tolerance = max(SUM, epsilon(law))
            _check_values(name, np.asarray(law, np.float64), tolerance)


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
    """Register a rule; its methods then refuse inputs that are not laws, as `check_laws` does."""
    claims: Claims | None = getattr(cls, "claims", None)
    slots = claims is not None and "independent" in claims.drafting
    for name, place in LAWS.items():
        method = getattr(cls, name, None)
        if method and _takes_both(method, place):
            setattr(cls, name, _checked(method, place, slots))
    return _registry.register(cls)


def _takes_both(method: Callable[..., object], place: int) -> bool:
    """Whether a method is implemented and takes both laws; the methods of a verifier take no q."""
    there = not getattr(method, "__isabstractmethod__", False)
    parameters = inspect.signature(method).parameters.values()
    variadic = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    return there and (variadic or len(parameters) >= place + 2)


def _checked(method: Callable[..., R], place: int, slots: bool) -> Callable[..., R]:
    """Wrap a method, so that it checks p and q before it runs."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*arguments: object, **named: object) -> R:
        p, q = signature.bind(*arguments, **named).args[place : place + 2]
        check_laws(p, q, slots)
        return method(*arguments, **named)

    return checked
