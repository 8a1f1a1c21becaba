"""The checks of a rule at a large vocabulary, where drafts are drawn; each returns the reason for
which a rule fails it, or an empty string.

What a rule does not state is nan, which no comparison finds at fault.
"""

from typing import NamedTuple

import jax
import numpy as np

from experiments.audits.outcomes import Reason
from specjax.rules import Claims

ROUNDING = 1e-5  # sqrt(V) roundings of 6e-8 in a sum of V = 70000 float32 numbers


class Seen(NamedTuple):
    """What was seen of a rule at drawn drafts, one row each.

    Attributes:
      groups: [S, 2 GROUPS], the law's mass on groups of tokens.
      hits: [S], its mass on the drafts.
      sums, least: [S], its sum and its least entry.
    """

    groups: jax.Array
    hits: jax.Array
    sums: jax.Array
    least: jax.Array


class Stated(NamedTuple):
    """What is said of a pair of laws.

    Attributes:
      lower, upper: the bracket of alpha*.
      expected: the rule's own acceptance.
      alpha_star, gap: of its certificate.
      groups: [2 GROUPS], the mass of its `emitted` on groups of tokens.
      tv: the total variation of `emitted` from p.
      over: how far `emitted` lies above the budget that the rule claims for its bias.
    """

    lower: jax.Array
    upper: jax.Array
    expected: jax.Array
    alpha_star: jax.Array
    gap: jax.Array
    groups: jax.Array
    tv: jax.Array
    over: jax.Array


class LargeRuleUnderAudit(NamedTuple):
    """What was seen of one rule on one pair of laws.

    Attributes:
      error: [2], the total variation from p over groups by p/q, and over groups by lot.
      off: [2], that from the law which the rule says that it emits.
      allowed: [2], how much of either may be chance.
      accepted: the law's mass on the drafts, mean over the draws.
      chance: how far chance may move that mean.
    """

    claims: Claims
    scheme: str
    n: int
    vocabulary: int
    seen: Seen
    stated: Stated
    error: np.ndarray
    off: np.ndarray
    allowed: np.ndarray
    accepted: float
    chance: float


def is_law(audited: LargeRuleUnderAudit) -> Reason:
    """Every law is finite, non-negative and sums to 1."""
    seen = audited.seen
    faults = (
        (np.isnan(seen.sums) | np.isnan(seen.least), "holds a number that is not finite"),
        (-seen.least > ROUNDING, "has a negative entry"),
        (np.abs(seen.sums - 1) > ROUNDING, "does not sum to 1"),
    )
    words = [words for wrong, words in faults if wrong.any()]
    return f"no law: it {words[0]} at V = {audited.vocabulary}" if words else ""


def is_lossless(audited: LargeRuleUnderAudit) -> Reason:
    """The mean law is p on every group of tokens, within what may be chance."""
    error = audited.error
    allowed = audited.allowed
    worst = int(np.argmax(error - allowed))
    if error[worst] <= allowed[worst]:
        return ""
    return (
        f"not lossless under {audited.scheme} at V = {audited.vocabulary}: total variation "
        f"{error[worst]:.3g}, {allowed[worst]:.2g} may be chance"
    )


def expects_no_more_than_the_optimum(audited: LargeRuleUnderAudit) -> Reason:
    """What the rule states of its acceptance lies below the upper end of alpha*."""
    stated = audited.stated
    error = stated.expected - stated.upper
    return _beyond(audited, error, ROUNDING, "expected_acceptance lies above the optimum")


def meets_its_expectation(audited: LargeRuleUnderAudit) -> Reason:
    """What the rule states of its acceptance is what was seen."""
    error = abs(audited.accepted - audited.stated.expected)
    words = "the law's mass on the drafts is not expected_acceptance"
    return _beyond(audited, error, audited.chance, words)


def is_no_better_than_the_optimum(audited: LargeRuleUnderAudit) -> Reason:
    """A lossless rule is a coupling: it cannot beat alpha*."""
    error = audited.accepted - audited.stated.upper
    return _beyond(audited, error, audited.chance, "accepts more than the optimum")


def attains_the_optimum(audited: LargeRuleUnderAudit) -> Reason:
    """A rule that claims the optimum for this n accepts as much."""
    error = (audited.stated.lower - audited.accepted) * audited.claims.optimal_at(audited.n)
    words = f"claims the optimum for n = {audited.n} and misses it"
    return _beyond(audited, error, audited.chance, words)


def certifies_no_less_than_the_optimum(audited: LargeRuleUnderAudit) -> Reason:
    """The certificate's alpha_star lies above the lower end of alpha*."""
    error = audited.stated.lower - audited.stated.alpha_star
    words = "its certificate's alpha_star is below the optimum"
    return _beyond(audited, error, ROUNDING, words)


def certifies_what_it_accepts(audited: LargeRuleUnderAudit) -> Reason:
    """The certificate's alpha_star less its gap is what was seen."""
    error = abs(audited.accepted - (audited.stated.alpha_star - audited.stated.gap))
    words = "its certificate's alpha_star - gap is not what it accepts"
    return _beyond(audited, error, audited.chance, words)


def emits_what_it_says(audited: LargeRuleUnderAudit) -> Reason:
    """The mean law is `emitted` on every group of tokens, within what may be chance."""
    worst = int(np.argmax(audited.off - audited.allowed))
    words = "what `emitted` says is not the mean law"
    return _beyond(audited, audited.off[worst], audited.allowed[worst], words)


def keeps_its_budget(audited: LargeRuleUnderAudit) -> Reason:
    """`emitted` is as near to p as the rule's field says."""
    return _beyond(audited, audited.stated.over, ROUNDING, "breaks its budget")


def keeps_under_the_line(audited: LargeRuleUnderAudit) -> Reason:
    """A rule whose emitted law lies at the distance TV from p accepts at most alpha* + TV."""
    error = audited.accepted - _line(audited, audited.stated.upper)
    return _beyond(audited, error, audited.chance, "accepts more than min(1, alpha* + TV)")


def is_on_the_front(audited: LargeRuleUnderAudit) -> Reason:
    """A rule that claims to be on the front accepts as much."""
    short = _line(audited, audited.stated.lower) - audited.accepted
    words = "claims to be on the front and accepts less than min(1, alpha* + TV)"
    return _beyond(audited, short * audited.claims.on_front, audited.chance, words)


def _line(audited: LargeRuleUnderAudit, alpha_star: jax.Array) -> float:
    return float(np.minimum(1, alpha_star + audited.stated.tv))


OF_LAWS = (is_law,)
OF_CLAIMS = (
    is_lossless,
    expects_no_more_than_the_optimum,
    meets_its_expectation,
    is_no_better_than_the_optimum,
    attains_the_optimum,
    certifies_no_less_than_the_optimum,
    certifies_what_it_accepts,
)
OF_LOSSY = (
    emits_what_it_says,
    keeps_its_budget,
    keeps_under_the_line,
    is_on_the_front,
    meets_its_expectation,
)


def _beyond(
    audited: LargeRuleUnderAudit, error: float | jax.Array, allowed: float, words: str
) -> Reason:
    if not error > allowed:
        return ""
    return f"{words}, by {error:.3g} at V = {audited.vocabulary} (allowed {allowed:.2g})"
