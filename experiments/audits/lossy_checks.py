"""The checks of a rule that says that it is lossy; each returns the reason for which the rule fails
it, or an empty string.
"""

import numpy as np

from experiments.audits.outcomes import Reason
from experiments.audits.rule_checks import meets_its_accepted_mass, meets_its_expectation
from experiments.audits.rule_under_audit import (
    RuleUnderAudit,
    acceptance,
    emitted,
    laws_nearby,
    masses,
    precisions,
    worst,
)
from experiments.audits.tolerances import EXACT, OPTIMUM, SINGLE, off
from experiments.enumeration import rule_laws
from experiments.enumeration.rule_laws import Array
from specjax import rules
from specjax.numerics import DIVERGENCES

LINE = "min(1, alpha* + TV)"


def keeps_under_the_line(audited: RuleUnderAudit) -> Reason:
    """A rule whose emitted law lies at the distance TV from p accepts at most alpha* + TV."""
    over = acceptance(audited, audited.wide) - _line(audited)
    words = f"accepts more than {LINE}, which no rule can at its bias"
    return worst(audited, over, OPTIMUM, words)


def is_on_the_front(audited: RuleUnderAudit) -> Reason:
    """A rule that claims to be on the front accepts all that a rule can at its bias."""
    if not audited.rule.claims.on_front:
        return ""
    short = _line(audited) - acceptance(audited, audited.wide)
    words = f"claims to be on the front and accepts less than {LINE}"
    return worst(audited, short, OPTIMUM, words)


def _line(audited: RuleUnderAudit) -> Array:
    """min(1, alpha* + TV) at every pair, [B]."""
    tv = np.abs(emitted(audited, audited.wide) - audited.cases.p).sum(1) / 2
    line: Array = np.minimum(1, audited.cases.optimum + tv)
    return line


def keeps_its_budget(audited: RuleUnderAudit) -> Reason:
    """At every pair, under every mask that the scheme can leave, the emitted law is as near to p as
    the rule's field says.
    """
    rule, cases = audited.rule, audited.cases
    claimed = rule.claims.loss
    if claimed is None:
        return ""
    budget = getattr(rule, claimed.field, None)
    if budget is None:
        return f"claims a loss within its field {claimed.field}, and has no such field"
    for row, mass in masses(audited):
        # rounding may leave a trace of a token that p has not
        law = np.einsum("bx,bxy->by", mass, audited.wide[:, row])
        law = np.where((cases.p == 0) & (law <= EXACT), 0, law)
        lost = rule_laws.expectations(DIVERGENCES[claimed.measure], law, cases.p)
        over = np.where(mass.sum(1) > 0, lost - float(budget), 0)
        words = (
            f"breaks its budget: {claimed.measure} of the emitted law from p, with "
            f"{int(audited.masks[row].sum())} drafts, is above {claimed.field} = {float(budget):g}"
        )
        reason = worst(audited, over, OPTIMUM, words)
        if reason:
            return reason
    return ""


def emits_what_it_says(audited: RuleUnderAudit) -> Reason:
    """In either precision `emitted` is the enumerated law of the emitted token."""
    rule, cases = audited.rule, audited.cases
    stated = rules.emitted(rule, cases.n, cases.scheme)
    if stated is None:
        return ""
    for laws, dtype, slack, precision in precisions(audited):
        said = rule_laws.expectations(stated, cases.p, cases.q, dtype)
        error = np.nan_to_num(np.abs(said - emitted(audited, laws)).max(1), nan=np.inf)
        if dtype is np.float32 and error.max() > slack:
            error = off(said, *_ends(_emitted_nearby(audited))).max(1)
        words = f"{precision}what `emitted` says is not the enumerated law"
        reason = worst(audited, error, slack, words)
        if reason:
            return reason
    return ""


def holds_in_single_precision(audited: RuleUnderAudit) -> Reason:
    """Laws computed in float32 emit and accept what those of float64 do, within 1e-6.

    Near a tie a rule that compares may take another branch in float32: then it is held to what
    float64 emits and accepts of laws nearby.
    """
    law, accepted = emitted(audited, audited.single), acceptance(audited, audited.single)
    moved = np.abs(law - emitted(audited, audited.wide)).sum(1) / 2
    shift = np.abs(accepted - acceptance(audited, audited.wide))
    if max(moved.max(), shift.max()) > SINGLE:
        near = off(law, *_ends(_emitted_nearby(audited))).sum(1) / 2
        moved = np.where(moved > SINGLE, near, moved)
        values = np.stack([acceptance(audited, laws) for laws in laws_nearby(audited)])
        shift = np.where(shift > SINGLE, off(accepted, *_ends(values)), shift)
    return worst(
        audited, moved, SINGLE, "in float32 it emits another law than in float64"
    ) or worst(audited, shift, SINGLE, "in float32 the acceptance differs from float64's")


def _emitted_nearby(audited: RuleUnderAudit) -> Array:
    return np.stack([emitted(audited, laws) for laws in laws_nearby(audited)])


def _ends(values: Array) -> tuple[Array, Array]:
    return values.min(0), values.max(0)


OF_LOSSY = (
    keeps_under_the_line,
    keeps_its_budget,
    emits_what_it_says,
    is_on_the_front,
    meets_its_expectation,
    meets_its_accepted_mass,
    holds_in_single_precision,
)
