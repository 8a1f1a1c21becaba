"""The question at one node, and its answer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import drafting
from theory.drafting import Joint
from theory.transport import Coupling

RENORMALISED, NOTED = 1e-3, 1e-6


@dataclass(frozen=True, eq=False)
class Problem:
    """A target law, a draft law, and the way in which n drafts are drawn from it.

    Laws whose sum is within 1e-3 of 1 are renormalised, with a warning beyond 1e-6.

    Arguments:
      p: target law [V].
      q: draft law [V]; for scheme `independent` one law per slot, [n, V].
      n: number of draft slots, at least 1.
      drafting: name of the scheme, one of `theory.drafting.names()`.
    Raises:
      ValueError: p or q is not a law, their vocabularies differ, or n or the scheme does not fit.
    """

    p: NDArray[np.float64]
    q: NDArray[np.float64]
    n: int
    drafting: str

    def __post_init__(self) -> None:
        p = as_law("p", self.p)
        q = as_law("q", self.q)
        if p.ndim != 1:
            raise ValueError(f"p: expected shape (V,), got {p.shape}")
        if q.shape[-1] != len(p):
            raise ValueError(
                f"q: expected a law over the {len(p)} tokens of p, got shape {q.shape}"
            )
        if not isinstance(self.n, Integral) or self.n < 1:
            raise ValueError(f"n: expected an integer of at least 1, got {self.n!r}")
        drafting.get(self.drafting).live(q, self.n)
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)

    def joint(self) -> Joint:
        """The joint law of the live drafts, by enumeration.

        Raises:
          ValueError: there are more than 2e6 tuples to enumerate.
        Cost: O(V^n).
        """
        return drafting.get(self.drafting).joint(self.q, self.n)


@dataclass(frozen=True, eq=False)
class Bound:
    """An optimum with its witnesses.

    Arguments:
      value: 1 + p(H) - Q(H), which bounds the acceptance of every lossless rule from above.
      subset: H [V].
      coupling: a feasible coupling, or None where a formula gave the value.
      gap: value minus the acceptance of the coupling, NaN without one.
    """

    value: float
    subset: NDArray[np.bool_]
    coupling: Coupling | None
    gap: float


def as_law(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as float64 laws over the last axis, renormalised and read-only.

    Raises:
      ValueError: an entry is negative or not finite, or a sum is further than 1e-3 from 1.
    """
    try:
        law = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: expected an array of probabilities, got {type(values).__name__} ({error})"
        ) from None
    if law.ndim == 0 or law.size == 0:
        raise ValueError(f"{name}: expected a law over at least one token, got shape {law.shape}")
    if not np.isfinite(law).all() or (law < 0).any():
        raise ValueError(
            f"{name}: expected finite probabilities of at least 0, got "
            f"{law[~(np.isfinite(law) & (law >= 0))][0]}"
        )
    total = law.sum(axis=-1, keepdims=True)
    worst = float(total.flat[np.abs(total - 1.0).argmax()])
    if abs(worst - 1.0) > RENORMALISED:
        raise ValueError(f"{name}: expected a sum within {RENORMALISED} of 1, got {worst:.6g}")
    if abs(worst - 1.0) > NOTED:
        warnings.warn(f"{name} sums to {worst:.6g}: renormalised", stacklevel=2)
    law = law / total
    law.flags.writeable = False
    return law
