"""The laws of one rule on one set of cases, and what is read off them: losses, acceptance, and the
emitted law.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiments.audits.outcomes import Reason
from experiments.audits.tolerances import NEARBY, OPTIMUM, SINGLE, near
from experiments.enumeration import rule_laws
from experiments.enumeration.rule_laws import Array, Cases
from specjax.rules import Rule


class RuleUnderAudit(NamedTuple):
    """The laws of one rule on one set of cases.

    Attributes:
      wide: K [B, M, V^n, V] from float64 laws.
      single: the same from float32 laws.
      masks: [M, n], every mask; the full one alone for per-pair rules.
    """

    rule: Rule
    cases: Cases
    wide: Array
    single: Array
    masks: np.ndarray


def losses(audited: RuleUnderAudit, laws: Array) -> list[tuple[float, int, int, int]]:
    """Per mask: the largest total variation between the emitted law and p, live slots, the pair,
    the token that is worst.
    """
    found = []
    for row, mass in masses(audited):
        loss = np.einsum("bx,bxy->by", mass, laws[:, row]) - audited.cases.p * mass.sum(
            axis=1, keepdims=True
        )
        error = np.abs(loss).sum(1) / 2
        b = int(np.argmax(error))
        found.append(
            (float(error[b]), int(audited.masks[row].sum()), b, int(np.argmax(np.abs(loss[b]))))
        )
    return found


def loss(audited: RuleUnderAudit) -> float:
    """The largest total variation between the emitted law and p, over pairs and masks."""
    return max(losses(audited, audited.wide))[0]


def masses(audited: RuleUnderAudit) -> list[tuple[int, Array]]:
    """Each mask's row in the table of laws, with Q [B, V^n]."""
    if audited.rule.claims.per_pair:
        return [(0, drawn_mass(audited.cases))]
    return list(enumerate(audited.cases.mass))


def drawn_mass(cases: Cases) -> Array:
    """The mass of every tuple of drafts under the mask that the scheme itself leaves: [B, V^n]."""
    return cases.mass[cases.natural, np.arange(len(cases.names))]


def acceptance(audited: RuleUnderAudit, laws: Array) -> Array:
    """P(Y is one of the drafts) at every pair, under the mask that the scheme itself leaves:
    [B].
    """
    cases = audited.cases
    drafts = rule_laws.tuples(cases.vocabulary, cases.n)
    every = rule_laws.patterns(cases.n)
    values = np.empty(len(cases.names))
    for b, (natural, mass) in enumerate(zip(cases.natural, drawn_mass(cases), strict=True)):
        law = laws[b, 0 if audited.rule.claims.per_pair else natural]
        values[b] = mass @ np.where(
            rule_laws.members(drafts, every[natural], cases.vocabulary), law, 0
        ).sum(1)
    return values


def emitted(audited: RuleUnderAudit, laws: Array) -> Array:
    """The emitted law at every pair, under the mask that the scheme itself leaves: [B, V]."""
    cases = audited.cases
    rows = 0 if audited.rule.claims.per_pair else cases.natural
    found: Array = np.einsum(
        "bx,bxy->by", drawn_mass(cases), laws[np.arange(len(cases.names)), rows]
    )
    return found


def precisions(audited: RuleUnderAudit) -> tuple[tuple[Array, type, float, str], ...]:
    """The laws in either precision, what is allowed there, and how a reason begins."""
    return (
        (audited.wide, np.float64, OPTIMUM, ""),
        (audited.single, np.float32, SINGLE, "in float32 "),
    )


def laws_nearby(audited: RuleUnderAudit) -> Iterator[Array]:
    """The float64 laws of the cases, then those of laws p and q that differ from the cases' by
    roundings of float32.
    """
    cases = audited.cases
    rng = np.random.default_rng(0)
    yield audited.wide
    for _ in range(NEARBY):
        p = near(cases.p, rng)
        q = near(cases.q, rng)
        yield rule_laws.laws(audited.rule, p, q, cases.n, audited.masks)


def worst(audited: RuleUnderAudit, error: Array, tolerance: float, words: str) -> Reason:
    """The words, with the largest error and its pair, if it is not tolerated."""
    b = int(np.argmax(error))
    return f"{words}, by {error[b]:.3g} on {audited.cases.names[b]}" if error[b] > tolerance else ""
