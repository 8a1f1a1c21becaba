"""Verification rules at one node, one in each file.

A file that is dropped into this folder is a rule everywhere.
"""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from specjax import drafting
from specjax._laws import check_laws
from specjax._registry import Registry
from specjax._types import RandomKey, SlotLaws
from specjax.numerics import is_duplicate
from specjax.rules._base import (
    Accepting,
    Certificate,
    Claims,
    Law,
    Mask,
    Rule,
    Scalar,
    Solves,
    Tokens,
    register,
)
from specjax.rules.greedy import Greedy
from specjax.rules.hub import Hub
from specjax.rules.importance_weighted import ImportanceWeighted
from specjax.rules.kseq import KSeq
from specjax.rules.multi_drafter import MultiDrafter
from specjax.rules.naive_first import NaiveFirst
from specjax.rules.naive_membership import NaiveMembership
from specjax.rules.one_hot import OneHot
from specjax.rules.optimal import Optimal
from specjax.rules.optimal_without_replacement import OptimalWithoutReplacement
from specjax.rules.recursive_rejection import RecursiveRejection
from specjax.rules.recursive_rejection_without_replacement import (
    RecursiveRejectionWithoutReplacement,
)
from specjax.rules.single import Single
from specjax.rules.transport import Transport

RULES: Registry[Rule] = Registry(__name__, "rule", "claims", files=True)
names, get, all = RULES.names, RULES.get, RULES.all


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


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: Scalar
    standard_error: Scalar


def estimate_acceptance(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
    samples: int,
) -> Estimate:
    """Estimate P(the emitted token is one of the n drafts), without bias, at any V.

    Each sample draws the drafts and takes the law's mass on the distinct live drafts. The emitted
    token itself is never drawn (Rao-Blackwell).

    Args:
      key: typed random key.
      rule: any rule.
      p: target law [V].
      q: draft law [V]; for the scheme `independent`, one law for each draft, [n, V].
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.
      samples: how often the drafts are drawn, at least 2.

    Returns:
      The mean over the samples and its standard error.

    Raises:
      ValueError: there are fewer than 2 samples, p or q is not a law, or the rule's proof does not
        cover this scheme or this n.

    Cost: one law for each sample, one after the other, in memory O(V n).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import rules
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> found = rules.estimate_acceptance(jax.random.key(0), rules.Single(), p, q, 1, "iid", 1000)
      >>> abs(float(found.mean) - 0.7) < 4 * float(found.standard_error)
      True
    """
    check_scheme(rule, scheme, n)
    check_laws(p, q, scheme == "independent")
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}")
    found: Estimate = _estimate(key, rule, p, q, n, scheme, samples)
    return found


@functools.partial(jax.jit, static_argnames=("n", "scheme", "samples"))
def _estimate(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
    samples: int,
) -> Estimate:
    def mass(key: RandomKey) -> Scalar:
        tokens, mask = drafting.get(scheme)().sample(key, q, n)
        live = mask & ~is_duplicate(tokens, mask)
        return jnp.sum(jnp.where(live, rule.law(tokens, p, q, mask)[tokens], 0))

    masses = jax.lax.map(mass, jax.random.split(key, samples))
    return Estimate(jnp.mean(masses), jnp.std(masses, ddof=1) / samples**0.5)


def check_decodes(rule: Rule | type[Rule]) -> None:
    """Refuse a rule that serves only one pair of laws; in a decode the laws change at every node.

    Args:
      rule: a rule or its class.

    Raises:
      ValueError: the rule holds the plan of one pair.

    Example:
      >>> from specjax import rules
      >>> rules.check_decodes(rules.KSeq())
    """
    if rule.claims.per_pair:
        raise ValueError(
            f"rule {rule.name}: holds the plan of one (p, q, n), so it cannot decode; use specjax "
            "bound or audit"
        )


def check_scheme(rule: Rule | type[Rule], scheme: str, n: int) -> None:
    """Refuse a rule outside its proof.

    Args:
      rule: a rule or its class.
      scheme: name of the drafting scheme.
      n: number of drafts.

    Raises:
      ValueError: the rule's proof does not cover this scheme or this n.

    Example:
      >>> from specjax import rules
      >>> rules.check_scheme(rules.KSeq, "iid", 3)
    """
    claims = rule.claims
    if scheme not in claims.drafting:
        raise ValueError(
            f"rule {rule.name}: its proof covers the schemes {', '.join(sorted(claims.drafting))}, "
            f"not {scheme}"
        )
    if not claims.admits(n):
        low, high = claims.n_range
        raise ValueError(f"rule {rule.name}: takes n from {low} to {high or 'any'}, got n = {n}")


__all__ = [
    "Accepting",
    "Certificate",
    "Claims",
    "Estimate",
    "Greedy",
    "Hub",
    "ImportanceWeighted",
    "KSeq",
    "Law",
    "Mask",
    "MultiDrafter",
    "NaiveFirst",
    "NaiveMembership",
    "OneHot",
    "Optimal",
    "OptimalWithoutReplacement",
    "RecursiveRejection",
    "RecursiveRejectionWithoutReplacement",
    "Rule",
    "Scalar",
    "Single",
    "Solves",
    "Tokens",
    "Transport",
    "accepting",
    "all",
    "certificate",
    "check_decodes",
    "check_scheme",
    "closed_form",
    "estimate_acceptance",
    "expected_acceptance",
    "get",
    "names",
    "register",
    "states_mass",
]


def __dir__() -> list[str]:
    return sorted(__all__)
