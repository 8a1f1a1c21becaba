"""Verification rules at one node, one per file; a file dropped in here is a rule everywhere."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax import drafting
from specjax._laws import check_laws
from specjax._registry import Registry
from specjax._types import RandomKey
from specjax.numerics import is_duplicate
from specjax.rules._base import (
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
    q: Float[Array, "*slots V"],
    n: int,
    scheme: str,
) -> Scalar | None:
    """The rule's own exact acceptance, or None where it offers none for this scheme and n (see
    `estimate_acceptance`).
    """
    stated = closed_form(rule, n, scheme)
    return stated(p, q) if stated else None


def closed_form(rule: Rule, n: int, scheme: str) -> Callable[[Law, Law], Scalar] | None:
    """The rule's exact acceptance of n drafts under a scheme, as a function of p and q; None where
    it states none.
    """
    if not hasattr(rule, "expected_acceptance") or not rule.claims.stated_at(scheme, n):
        return None

    def acceptance(p: Law, q: Float[Array, "*slots V"]) -> Scalar:
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
    q: Float[Array, "*slots V"],
    n: int,
    scheme: str,
) -> Certificate | None:
    """What the rule's solve reached at this pair of laws, or None where it offers no certificate
    under this scheme.
    """
    if not hasattr(rule, "certificate") or scheme not in rule.claims.drafting:
        return None
    return rule.certificate(p, q, n)


class LawAndAcceptance(NamedTuple):
    """The law of the emitted token given the drafts, and the rule's exact acceptance; nan where it
    does not come with the law.
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
    """Both from one solve, where the rule's law is that of `Solves`."""
    if not (isinstance(rule, Solves) and _unwrapped(type(rule)) is _unwrapped(Solves)):
        return LawAndAcceptance(rule.law(tokens, p, q, mask), jnp.full((), jnp.nan, p.dtype))
    solved = rule.solve(p, q, len(tokens), jnp.sum(mask))
    return LawAndAcceptance(rule.law_of(solved, tokens, p, mask), rule.accepted(solved))


def _unwrapped(cls: type) -> object:
    """Its law as it was written, without the checks around it."""
    return inspect.unwrap(cls.law)  # type: ignore[attr-defined]


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: Scalar
    standard_error: Scalar


def estimate_acceptance(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: Float[Array, "*slots V"],
    n: int,
    scheme: str,
    samples: int,
) -> Estimate:
    """P(the emitted token is one of the n drafts), at any V and under any scheme, without bias.

    The law's mass on the distinct live drafts, averaged over drawn drafts: the token itself is
    never drawn (Rao-Blackwell).

    Args:
      q: [V]; for the scheme `independent` [n, V].
      samples: how often the drafts are drawn, at least 2.

    Raises:
      ValueError: fewer than 2 samples, p or q is seen to be no law, or the rule's proof does not
        cover this scheme or this n.

    Cost: one law a sample, one after the other, in memory O(V n).
    """
    check_scheme(rule, scheme, n)
    check_laws(p, q, scheme == "independent")
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}")
    return _estimate(key, rule, p, q, n, scheme, samples)


@functools.partial(jax.jit, static_argnames=("n", "scheme", "samples"))
def _estimate(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: Float[Array, "*slots V"],
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
    """Refuse a rule that serves one pair of laws only where laws change from node to node.

    Raises:
      ValueError: the rule holds the plan of one pair.
    """
    if rule.claims.per_pair:
        raise ValueError(
            f"rule {rule.name}: holds the plan of one (p, q, n), so it cannot decode; use specjax "
            "bound or audit"
        )


def check_scheme(rule: Rule | type[Rule], scheme: str, n: int) -> None:
    """Refuse a rule outside its proof.

    Raises:
      ValueError: the rule's proof does not cover this scheme or this n.
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
]


def __dir__() -> list[str]:
    return sorted(__all__)
