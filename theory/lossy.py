"""Rules of one draft that need not be lossless: what they accept, emit and cost, and their repair.

A rule keeps the draft x with probability a(x) and draws the token from r_x if it does not. The
emitted law is e = q a + sum_x q(x) (1 - a(x)) r_x. Laws are float64 arrays [V].
"""

from typing import NamedTuple

import numpy as np

from theory._arrays import Law, Mask, Values
from theory.front import divergence

ROUNDING = 4.0 * np.finfo(np.float64).eps  # a difference of laws with less mass may be none
SMOOTHING = 1e-5  # is added to p under the logarithm of a typical token's entropy


class OneDraft(NamedTuple):
    """A rule of one draft at one pair of laws.

    Attributes:
      kept: a [V], the probability that a draft is kept.
      rest: r, the law of the token that stands for a refused draft: [V] if it does not depend on
        the draft, else [V, V], a row for each draft.
    """

    kept: Law
    rest: Values


class Cost(NamedTuple):
    """What a rule accepts, and how far its emitted law lies from p.

    Attributes:
      accepted: A, the probability that the draft is emitted.
      gained: A less the optimum of lossless rules, sum min(p, q).
      tv: TV(e, p).
      kl: KL(e || p) in nats, infinite if e has mass where p has none.
    """

    accepted: float
    gained: float
    tv: float
    kl: float


def laws(rule: OneDraft) -> Values:
    """The law of the emitted token for every draft.

    Args:
      rule: a rule at one pair of laws.

    Returns:
      K [V, V]; row x is the law given the draft x.
    """
    kept = np.diag(rule.kept)
    refused = 1.0 - rule.kept
    rows: Values = kept + refused[:, None] * rule.rest
    return rows


def emitted(rule: OneDraft, q: Law) -> Law:
    """The emitted law e, the mean of the laws over the drafts.

    Args:
      rule: a rule at (p, q).
      q: draft law [V].

    Returns:
      The law [V].
    """
    mass = q * rule.kept
    refused = q - mass
    if rule.rest.ndim == 1:
        return mass + refused.sum() * rule.rest
    return mass + refused @ rule.rest


def emits_the_draft(rule: OneDraft) -> Law:
    """The probability that the draft is emitted: kept, or drawn after it was refused.

    Args:
      rule: a rule at (p, q).

    Returns:
      The diagonal of the laws, [V].
    """
    own = rule.rest if rule.rest.ndim == 1 else np.diag(rule.rest)
    found: Law = rule.kept + (1.0 - rule.kept) * own
    return found


def measure(rule: OneDraft, p: Law, q: Law) -> Cost:
    """The exact cost of a rule, over all drafts.

    Args:
      rule: the rule at (p, q).
      p: target law [V].
      q: draft law [V].

    Returns:
      The cost.

    Example:
      >>> import numpy as np
      >>> from theory import lossy, lossy_rules
      >>> p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
      >>> cost = lossy.measure(lossy_rules.lenience(p, q, 0.8), p, q)
      >>> round(cost.accepted, 3), round(cost.tv, 3)
      (0.75, 0.05)
    """
    law = emitted(rule, q)
    accepted = float(q @ emits_the_draft(rule))
    lossless = float(np.minimum(p, q).sum())
    apart = float(np.abs(law - p).sum())
    return Cost(
        accepted=accepted,
        gained=accepted - lossless,
        tv=apart / 2.0,
        kl=divergence(law, p),
    )


def repaired(rule: OneDraft, p: Law, q: Law) -> OneDraft:
    """The rule without what it wastes: it accepts no less, and costs no more TV.

    It keeps a draft as often as the rule emits it, or as the lossless rule does if that is more.
    Its residual is what is left of p. Its TV is what it gains.

    Args:
      rule: a rule at (p, q).
      p: target law [V].
      q: draft law [V].

    Returns:
      The repaired rule, whose residual does not depend on the draft.
    """
    kept = np.maximum(emits_the_draft(rule), ratio(p, q))
    return OneDraft(
        kept=kept,
        rest=scaled(p - q * kept, p),
    )


def overruled(p: Law, q: Law, good: Mask) -> OneDraft:
    """The lossless rule of one draft, but for drafts that are good: it keeps these always.

    Args:
      p: the target law [V].
      q: the draft law [V].
      good: which tokens are good [V], whatever p and q are.

    Returns:
      The rule; a refused draft is followed by (p - q)+. So it accepts alpha* + TV.
    """
    kept = np.where(good, 1.0, ratio(p, q))
    return OneDraft(kept, scaled(np.maximum(p - q, 0), p))


def typical(p: Law, cap: float, scale: float) -> Mask:
    """The tokens with p > min(cap, scale e^-H(p)), H with log(p + 1e-5). Source: cai2024medusa.

    Args:
      p: target law [V].
      cap: the probability above which every token is typical.
      scale: of e^-H.

    Returns:
      The set [V].
    """
    entropy = -float(p @ np.log(p + SMOOTHING))
    likelier: Mask = p > min(cap, scale * np.exp(-entropy))
    return likelier


def ratio(p: Law, q: Law) -> Law:
    """min(1, p / q); where q = 0 it is 1 if p > 0, else 0.

    Args:
      p: masses [V].
      q: masses [V].

    Returns:
      The probabilities [V].
    """
    certain = (p > 0).astype(np.float64)
    found: Law = np.divide(
        p,
        q,
        out=certain,
        where=q > 0,
    )
    return np.minimum(found, 1.0)


def scaled(masses: Values, fallback: Law) -> Values:
    """The positive parts as laws; `fallback` where they are mere rounding.

    Args:
      masses: [.., V].
      fallback: a law [V].

    Returns:
      Laws [.., V].
    """
    positive = np.maximum(masses, 0.0)
    sums = positive.sum(-1, keepdims=True)
    left = sums > ROUNDING
    divisor = np.where(left, sums, 1.0)
    return np.where(left, positive / divisor, fallback)
