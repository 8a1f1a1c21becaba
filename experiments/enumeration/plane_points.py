"""Where rules stand on the plane of acceptance against bias, context by context: as they are, and
repaired.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from experiments.enumeration import one_draft
from specjax import rules
from specjax._types import Law, Scalar
from specjax.rules import Rule
from theory import lossy
from theory.front import divergence
from theory.lossy import OneDraft

SCHEME = "iid"
Values = NDArray[np.float64]


class Points(NamedTuple):
    """What a rule accepts and loses at C contexts, [C] each; KL may be infinite."""

    accepted: Values
    tv: Values
    kl: Values


class Both(NamedTuple):
    """A rule as it is, and repaired: the lossless rule, overruled by it."""

    plain: Points
    repaired: Points


class Setting(NamedTuple):
    """A rule, its knob in words, and by which factor it was changed."""

    rule: Rule
    words: str
    scale: float


def settings(make: type[Rule], scale: tuple[float, ...]) -> Iterator[Setting]:
    """A rule with multiples of its knob, the first field that is a number; as it is without one.

    Args:
      make: its class.
      scale: the multiples.
    """
    fields = dataclasses.fields(make)  # type: ignore[arg-type]
    defaults = {field.name: field.default for field in fields}
    knobs = [(name, value) for name, value in defaults.items() if isinstance(value, float)]
    if not knobs:
        yield Setting(make(), "", 1.0)
        return
    name, default = knobs[0]
    for factor in scale:
        value = factor * default
        yield Setting(make(**{name: value}), f"{name}={value:g}", factor)


def measured(rule: Rule, n: int, p: Values, q: Values) -> Both:
    """The points of a rule: of one draft by enumeration, of more by what it states.

    Args:
      rule: takes n drafts.
      n: number of drafts.
      p: target laws [C, V].
      q: draft laws [C, V].

    Returns:
      The points; nan where nothing is known.
    """
    unknown = Points(*np.full((3, len(p)), np.nan))
    if n == 1:
        return _enumerated(rule, p, q)
    if rules.closed_form(rule, n, SCHEME) is None or rules.emitted(rule, n, SCHEME) is None:
        return Both(unknown, unknown)
    accepted, laws = _stated(rule, p, q, n)
    found = [
        (hits, *_lost(law, target))
        for hits, law, target in zip(np.asarray(accepted), np.asarray(laws), p, strict=True)
    ]
    return Both(Points(*np.array(found).T), unknown)


def _enumerated(rule: Rule, p: Values, q: Values) -> Both:
    plain = []
    repaired = []
    for target, draft in zip(p, q, strict=True):
        own, law = one_draft.enumerated(rule, target, draft)
        plain.append((float(draft @ own), *_lost(law, target)))
        kept = np.maximum(own, lossy.ratio(target, draft))
        mended = OneDraft(kept, lossy.scaled(target - draft * kept, target))
        cost = lossy.measure(mended, target, draft)
        repaired.append((cost.accepted, cost.tv, cost.kl))
    return Both(Points(*np.array(plain).T), Points(*np.array(repaired).T))


def _lost(law: Values, p: Values) -> tuple[float, float]:
    """TV and KL of an emitted law."""
    apart = np.abs(law - p).sum()
    return float(apart) / 2.0, divergence(law, p)


@functools.partial(jax.jit, static_argnames="n")
def _stated(
    rule: Rule, p: Float[Array, "C V"], q: Float[Array, "C V"], n: int
) -> tuple[Float[Array, " C"], Float[Array, "C V"]]:
    """The acceptance and the emitted law, as the rule states them."""
    acceptance = rules.closed_form(rule, n, SCHEME)
    emitted = rules.emitted(rule, n, SCHEME)
    assert acceptance is not None
    assert emitted is not None

    def at(pair: tuple[Law, Law]) -> tuple[Scalar, Law]:
        return acceptance(*pair), emitted(*pair)

    found: tuple[Array, Array] = jax.lax.map(at, (p, q))
    return found
