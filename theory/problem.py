"""The question at one node, and its answer."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from theory import drafting
from theory._arrays import Law, Mask
from theory.drafting import Joint
from theory.transport import Coupling

RENORMALISED = 1e-3  # a sum further than this from 1 is an error
NOTED = 1e-6  # a sum further than this from 1 is a warning


@dataclass(frozen=True, eq=False)
class Problem:
    """A target law, a draft law, and the way in which n drafts are drawn from it.

    Laws with a sum within 1e-3 of 1 are renormalised, with a warning beyond 1e-6.

    Attributes:
      p: target law [V].
      q: draft law [V]; for scheme `independent` one law for each slot, [n, V].
      n: number of draft slots, at least 1.
      drafting: name of the scheme, one of `theory.drafting.names()`.

    Raises:
      ValueError: p or q is not a law, their vocabularies differ, or n or the scheme does not fit.

    Example:
      >>> from theory import Problem
      >>> problem = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "without_replacement")
      >>> problem.joint().tokens.tolist()
      [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    """

    p: Law
    q: Law
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

        Cost: O(V^n).

        Raises:
          ValueError: there are more than 2e6 tuples to enumerate.
        """
        return drafting.get(self.drafting).joint(self.q, self.n)


@dataclass(frozen=True, eq=False)
class Bound:
    """An optimum with its witnesses.

    Attributes:
      value: 1 + p(H) - Q(H), which bounds the acceptance of every lossless rule from above.
      subset: H [V].
      coupling: a feasible coupling, or None if a formula gave the value.
      gap: value minus the acceptance of the coupling, NaN without one.
    """

    value: float
    subset: Mask
    coupling: Coupling | None
    gap: float


def as_law(name: str, values: ArrayLike) -> Law:
    """The values as float64 laws over the last axis, renormalised and read-only.

    Args:
      name: what messages call the values.
      values: [.., V], with sums within 1e-3 of 1; there is a warning beyond 1e-6.

    Returns:
      The laws, in the shape of the values.

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
    wrong = law[~(np.isfinite(law) & (law >= 0))]
    if wrong.size:
        raise ValueError(f"{name}: expected finite probabilities of at least 0, got {wrong[0]}")
    total = law.sum(axis=-1, keepdims=True)
    worst = float(total.flat[np.abs(total - 1.0).argmax()])
    if abs(worst - 1.0) > RENORMALISED:
        raise ValueError(f"{name}: expected a sum within {RENORMALISED} of 1, got {worst:.6g}")
    if abs(worst - 1.0) > NOTED:
        warnings.warn(f"{name} sums to {worst:.6g}: renormalised", stacklevel=2)
    scaled: Law = law / total
    scaled.flags.writeable = False
    return scaled
