"""What rules state of themselves: acceptance, emitted law, certificate, and accepted mass."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from specjax._types import SlotLaws
from specjax.numerics import is_duplicate
from specjax.rules._base import (
    Accepting,
    Certificate,
    Law,
    Mask,
    Rule,
    Scalar,
    Solves,
    Tokens,
)


def expected_acceptance(
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
) -> Scalar | None:
    """The rule's own exact acceptance, if it states one for this scheme and n.

    Args:
      rule: any rule.
      p: target law [V].
      q: draft law [V]; for the scheme `independent`, one law for each draft, [n, V].
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.

    Returns:
      P(the emitted token is one of the n drafts), or None if the rule does not state it; see
      `estimate_acceptance` for the other cases.

    Raises:
      ValueError: p or q is not a law.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import rules
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(rules.expected_acceptance(rules.Greedy(), p, q, 2, "greedy")), 3)
      0.9
    """
    stated = closed_form(rule, n, scheme)
    return stated(p, q) if stated else None


def closed_form(rule: Rule, n: int, scheme: str) -> Callable[[Law, Law], Scalar] | None:
    """The rule's exact acceptance as a function of p and q.

    Args:
      rule: any rule.
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.

    Returns:
      A function (p, q) -> acceptance, or None if the rule states none for this scheme and n. The
      function raises ValueError if the rule returns None although its claims state an acceptance.

    Example:
      >>> from specjax import rules
      >>> rules.closed_form(rules.KSeq(), 2, "greedy") is None
      True
    """
    if not hasattr(rule, "expected_acceptance") or not rule.claims.stated_at(scheme, n):
        return None

    def acceptance(p: Law, q: SlotLaws) -> Scalar:
        value: Scalar | None = rule.expected_acceptance(p, q, n)
        if value is None:
            raise ValueError(
                f"rule {rule.name}: expected_acceptance gives None at n = {n}: say where it holds "
                "by expectation_under and expectation_up_to"
            )
        return value

    return acceptance


def certificate(
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
) -> Certificate | None:
    """The rule's certificate at this pair of laws, if it offers one.

    Args:
      rule: any rule.
      p: target law [V].
      q: draft law [V]; for the scheme `independent`, one law for each draft, [n, V].
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.

    Returns:
      How near the rule's solve came to the optimum and to p, or None if the rule offers no
      certificate under this scheme.

    Raises:
      ValueError: p or q is not a law.
    """
    if not hasattr(rule, "certificate") or scheme not in rule.claims.drafting:
        return None
    found: Certificate = rule.certificate(p, q, n)
    return found


def emitted(rule: Rule, n: int, scheme: str) -> Callable[[Law, Law], Law] | None:
    """The law that the rule emits on average over the drafts, as a function of p and q.

    Args:
      rule: any rule.
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.

    Returns:
      A function (p, q) -> law [V]: p of a lossless rule; None if a lossy one states no such law for
      this scheme and n.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import rules
      >>> law = rules.emitted(rules.Lenience(), 1, "iid")
      >>> print(law(jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])))
      [0.3 0.3 0.4]
    """
    if rule.claims.lossless:
        return lambda p, q: p
    if not hasattr(rule, "emitted") or not rule.claims.stated_at(scheme, n):
        return None

    def law(p: Law, q: SlotLaws) -> Law:
        found: Law = rule.emitted(p, q, n)
        return found

    return law


class LawAndAcceptance(NamedTuple):
    """The law of the emitted token given the drafts, and the rule's exact acceptance.

    The acceptance is nan if the rule does not compute it together with the law.
    """

    law: Law
    acceptance: Scalar


def law_and_acceptance(
    rule: Rule,
    tokens: Tokens,
    p: Law,
    q: Law,
    mask: Mask,
) -> LawAndAcceptance:
    """The law and the exact acceptance, from one solve if the rule is one that `Solves`."""
    if not (isinstance(rule, Solves) and _unwrapped(type(rule)) is _unwrapped(Solves)):
        return LawAndAcceptance(rule.law(tokens, p, q, mask), jnp.full((), jnp.nan, p.dtype))
    solved = rule.solve(p, q, len(tokens), jnp.sum(mask))
    return LawAndAcceptance(rule.law_of(solved, tokens, p, mask), rule.accepted(solved))


def _unwrapped(cls: type) -> object:
    """The law of a class as it was written, without the checks around it."""
    return inspect.unwrap(cls.law)  # type: ignore[attr-defined]


def states_mass(rule: Rule, scheme: str, n: int) -> bool:
    """Whether a rule states its accepted mass for up to n drafts of this scheme.

    Args:
      rule: any rule.
      scheme: name of the drafting scheme.
      n: number of drafts, at least 1.

    Returns:
      Whether `accepting` serves it there.

    Example:
      >>> from specjax import rules
      >>> rules.states_mass(rules.KSeq(), "iid", 3)
      True
    """
    return hasattr(rule, "accepted_mass") and rule.claims.stated_at(scheme, n)


def accepting(
    rule: Rule,
    tokens: Tokens,
    p: Law,
    q: Law,
    mask: Mask,
) -> Accepting:
    """Which drafts a rule accepts, given the drafts and on average.

    A number of live drafts that the rule does not take accepts nothing.

    Args:
      rule: a rule that states its accepted mass.
      tokens: [n], the drafts.
      p: target law [V].
      q: draft law [V].
      mask: [n], true at live slots.

    Returns:
      The probability that each draft is accepted, and its mean for every token.

    Cost: one law and one accepted mass; one solve for rules of levels.
    """
    if hasattr(rule, "accepting"):
        found: Accepting = rule.accepting(tokens, p, q, mask)
    else:
        first = mask & ~is_duplicate(tokens, mask)
        drafts = jnp.where(first, rule.law(tokens, p, q, mask)[tokens], 0)
        found = Accepting(drafts, rule.accepted_mass(p, q, mask))  # type: ignore[attr-defined]
    live = jnp.sum(mask)
    low, high = rule.claims.n_range
    taken = (live >= max(low, 1)) & (live <= (len(mask) if high is None else high))
    return Accepting(jnp.where(taken, found.drafts, 0), jnp.where(taken, found.mass, 0))
