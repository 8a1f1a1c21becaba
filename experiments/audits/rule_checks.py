"""The checks that make a rule's claims true; each returns the reason for which a rule fails it, or
an empty string.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from experiments.audits.outcomes import Reason
from experiments.audits.rule_under_audit import (
    RuleUnderAudit,
    acceptance,
    emitted,
    laws_nearby,
    losses,
    precisions,
    worst,
)
from experiments.audits.tolerances import EXACT, OPTIMUM, SINGLE, law_faults, off
from experiments.enumeration import rule_laws
from experiments.enumeration.rule_laws import Array
from specjax import rules
from specjax.rules import Law, Scalar, Solves


def is_law(audited: RuleUnderAudit) -> Reason:
    """Every row is finite, non-negative and sums to 1: for every tuple, off the support of q too,
    and under every mask.
    """
    return _row_reason(audited, audited.wide, EXACT, "") or _row_reason(
        audited, audited.single, SINGLE, "in float32 "
    )


def _row_reason(audited: RuleUnderAudit, laws: Array, tolerance: float, precision: str) -> Reason:
    for error, words in law_faults(laws, -1):
        b, mask, x = np.unravel_index(np.argmax(error), error.shape)
        if error[b, mask, x] > tolerance:
            drafts = _drafts(audited, mask, x)
            total = laws[b, mask, x].sum()
            return (
                f"no law: {precision}it {words} (sum {total:.6g}) for drafts {drafts} "
                f"on {audited.cases.names[b]}"
            )
    return ""


def ignores_masked_slots(audited: RuleUnderAudit) -> Reason:
    """What masked slots hold is never read."""
    n = audited.cases.n
    vocabulary = audited.cases.vocabulary
    for row, mask in enumerate(audited.masks):
        grid = audited.wide[:, row].reshape(-1, *(vocabulary,) * n, vocabulary)
        masked = np.flatnonzero(~mask).tolist()
        spread = max((np.ptp(grid, axis=1 + slot).max() for slot in masked), default=0)
        if spread > EXACT:
            return (
                f"reads a masked slot: with mask {_bits(mask)} its content moves the law by "
                f"{spread:.3g}"
            )
    return ""


def emits_p_without_drafts(audited: RuleUnderAudit) -> Reason:
    """With every slot masked the law is p, unless the claims say that it is the rule's own."""
    if audited.masks[0].any() or audited.rule.claims.bonus != "target":
        return ""
    error = np.abs(audited.wide[:, 0] - audited.cases.p[:, None]).max((1, 2))
    return worst(audited, error, EXACT, "with every slot masked it does not emit p")


def is_that_of_the_live_slots(audited: RuleUnderAudit) -> Reason:
    """Under a mask with m live slots, wherever they lie, the law is that of m drafts.

    Rules that search are weighed by the chance of the drafts: at drafts that are never seen
    rounding decides where the search ends.
    """
    cases = audited.cases
    n = audited.cases.n
    for row, mask in enumerate(audited.masks):
        live = int(mask.sum())
        if live in (0, n) or not audited.rule.claims.admits(live):
            continue
        q = cases.q[:, mask] if cases.q.ndim == 3 else cases.q
        alone = rule_laws.laws(audited.rule, cases.p, q, live, rule_laws.patterns(live))[:, -1]
        index = np.ravel_multi_index(
            tuple(rule_laws.tuples(cases.vocabulary, n)[:, mask].T), (cases.vocabulary,) * live
        )
        difference = np.abs(audited.wide[:, row] - alone[:, index])
        error = (
            np.einsum("bx,bxy->b", cases.mass[row], difference)
            if audited.rule.claims.searches
            else difference.max((1, 2))
        )
        words = f"with mask {_bits(mask)} the law is not that of {live} drafts: the mask is misread"
        reason = worst(audited, error, EXACT, words)
        if reason:
            return reason
    return ""


def is_lossless(audited: RuleUnderAudit) -> Reason:
    """Under every mask that the scheme can leave, the emitted law is p."""
    error, slots, b, token = max(losses(audited, audited.wide))
    if error <= EXACT:
        return ""
    name = audited.cases.names[b]
    where = f"on {name} with {slots} drafts, worst at token {token}"
    return f"not lossless under {audited.cases.scheme}: total variation {error:.3g} from p {where}"


def meets_its_expectation(audited: RuleUnderAudit) -> Reason:
    """In either precision what the rule says of its acceptance is the enumerated one."""
    reasons = (_off_what_is_said(audited, *said) for said in _said(audited))
    return next(filter(None, reasons), "")


def _said(audited: RuleUnderAudit) -> list[tuple[str, Callable[[Law, Law], Scalar]]]:
    """What the rule says of its acceptance: by its expectation, and out of its solve."""
    rule = audited.rule
    n = audited.cases.n
    said: list[tuple[str, Callable[[Law, Law], Scalar]]] = []
    if not rule.claims.stated_at(audited.cases.scheme, n):
        return said
    if hasattr(rule, "expected_acceptance"):
        said.append(("expected_acceptance", lambda p, q: rule.expected_acceptance(p, q, n)))
    if isinstance(rule, Solves):
        said.append(("accepted", lambda p, q: rule.accepted(rule.solve(p, q, n, jnp.asarray(n)))))
    return said


def _off_what_is_said(
    audited: RuleUnderAudit, name: str, stating: Callable[[Law, Law], Scalar]
) -> Reason:
    cases = audited.cases
    for laws, dtype, slack, precision in precisions(audited):
        stated = rule_laws.expectations(stating, cases.p, cases.q, dtype)
        measured = acceptance(audited, laws)
        error = np.nan_to_num(np.abs(stated - measured), nan=np.inf)
        # near ties it may follow float64's other branch
        if dtype is np.float32 and error.max() > slack:
            error = off(stated, *_acceptances_nearby(audited))
        b = int(np.argmax(error))
        if error[b] > slack:
            return (
                f"{precision}{name} says {stated[b]:.9g} on {cases.names[b]}, "
                f"enumeration {measured[b]:.9g}"
            )
    return ""


def meets_its_accepted_mass(audited: RuleUnderAudit) -> Reason:
    """In either precision, under every mask that the scheme can leave, what the rule says that it
    accepts of each token is the enumerated mean; given the drafts it accepts no more than it emits.
    """
    rule, cases = audited.rule, audited.cases
    if not rules.states_mass(rule, cases.scheme, cases.n):
        return ""
    left = cases.mass.sum(2).T > 0  # the masks that the scheme leaves, at each pair
    for laws, dtype, slack, precision in precisions(audited):
        given, stated = rule_laws.accepted(rule, cases, audited.masks, dtype)
        mean = np.einsum("mbx,bmxv->bmv", cases.mass, given)
        off = np.where(left, np.abs(stated - mean).max(2), 0).max(1)
        over = np.where(left[..., None], (given - laws).max(3), 0).max((1, 2))
        words = f"{precision}accepted_mass is not the enumerated mean of what it accepts"
        more = f"{precision}given the drafts it accepts more than it emits"
        reason = worst(audited, off, slack, words) or worst(audited, over, slack, more)
        if reason:
            return reason
    return ""


def meets_its_certificate(audited: RuleUnderAudit) -> Reason:
    """In either precision `certificate` states the enumerated acceptance, an upper end of alpha*,
    their gap and a bound on the bias.

    Where it says that the solve failed, the acceptance is not compared: another program may have
    got further.
    """
    rule, cases = audited.rule, audited.cases
    if not hasattr(rule, "certificate"):
        return ""
    for laws, dtype, slack, precision in precisions(audited):
        alpha, alpha_star, gap, tv_bound, solved = rule_laws.certificates(rule, cases, dtype).T
        bias = np.abs(emitted(audited, laws) - cases.p.astype(dtype)).sum(1) / 2
        faults = (
            (
                solved * np.abs(alpha - acceptance(audited, laws)),
                "alpha is not the enumerated acceptance",
            ),
            (cases.optimum - alpha_star, "alpha_star is below the optimum"),
            (np.abs(gap - (alpha_star - alpha)), "gap is not alpha_star - alpha"),
            (bias - tv_bound, "tv_bound is below the bias of the emitted law"),
        )
        for (error, words), allowed in zip(faults, (slack, slack, slack, EXACT), strict=True):
            reason = worst(
                audited,
                np.nan_to_num(error, nan=np.inf),
                allowed,
                f"{precision}its certificate's {words}",
            )
            if reason:
                return reason
    return ""


def is_no_better_than_the_optimum(audited: RuleUnderAudit) -> Reason:
    """A lossless rule is a coupling: it cannot beat alpha*."""
    return _against_optimum(
        audited, lambda value, best: value - best, "accepts more than the optimum"
    )


def attains_the_optimum(audited: RuleUnderAudit) -> Reason:
    """A rule that claims the optimum for this n accepts as much."""
    if not audited.rule.claims.optimal_at(audited.cases.n):
        return ""
    return _against_optimum(
        audited,
        lambda value, best: best - value,
        f"claims the optimum for n = {audited.cases.n} and misses it",
    )


def _against_optimum(
    audited: RuleUnderAudit, excess: Callable[[Array, Array], Array], words: str
) -> Reason:
    value = acceptance(audited, audited.wide)
    best = audited.cases.optimum
    over = excess(value, best)
    b = int(np.argmax(over))
    if over[b] <= OPTIMUM:
        return ""
    return f"{words}: {value[b]:.9g} on {audited.cases.names[b]}, the optimum is {best[b]:.9g}"


def holds_in_single_precision(audited: RuleUnderAudit) -> Reason:
    """Laws computed in float32 emit p, and accept as much as those of float64, within 1e-6, where
    no solve says that it failed.

    Near a tie a rule that compares may take another branch in float32: then it is held to what
    float64 accepts of laws nearby.
    """
    error, slots, b, _ = max(losses(audited, audited.single))
    if error > SINGLE:
        return (
            f"in float32 not lossless: total variation {error:.3g} from p on "
            f"{audited.cases.names[b]} with {slots} drafts"
        )
    shift = _shift(audited)
    if shift.max() > SINGLE:
        shift = np.where(
            shift > SINGLE,
            off(acceptance(audited, audited.single), *_acceptances_nearby(audited)),
            shift,
        )
    return worst(audited, shift, SINGLE, "in float32 the acceptance differs from float64's")


def flips_at_near_ties(audited: RuleUnderAudit) -> str:
    """A warning where float32 accepts more or less than float64, as float64 itself does of laws
    that float32 cannot tell apart.
    """
    return worst(
        audited,
        _shift(audited),
        SINGLE,
        "; beware: at near ties float32 accepts otherwise than float64",
    )


def _shift(audited: RuleUnderAudit) -> Array:
    """How far the acceptance in float32 lies from that in float64, where no solve says that it
    failed: [B].
    """
    shift = np.abs(acceptance(audited, audited.single) - acceptance(audited, audited.wide))
    if hasattr(audited.rule, "certificate"):
        shift *= rule_laws.certificates(audited.rule, audited.cases, np.float32)[:, -1]
    return shift


def _acceptances_nearby(audited: RuleUnderAudit) -> tuple[Array, Array]:
    """The least and the most that float64 accepts of laws which differ from the case's by roundings
    of float32: two arrays [B].
    """
    values = np.stack([acceptance(audited, laws) for laws in laws_nearby(audited)])
    return values.min(0), values.max(0)


def takes_drafts_one_by_one(audited: RuleUnderAudit) -> Reason:
    """A rule that claims to be sequential: given the drafts so far, the emitted law is the same
    whether one more is drawn or not.
    """
    cases = audited.cases
    n = audited.cases.n
    vocabulary = audited.cases.vocabulary
    claims = audited.rule.claims
    if not claims.sequential or claims.per_pair:
        return ""
    for live in filter(claims.admits, range(1, n)):
        few = rule_laws.prefix(n, live)
        many = rule_laws.prefix(n, live + 1)
        shape = (len(cases.names), vocabulary**live, -1)
        mass = cases.mass[many].reshape(shape)  # where masked slots hold 0
        laws = audited.wide[:, many].reshape(*shape[:2], mass.shape[2], vocabulary)
        alone = audited.wide[:, few].reshape(laws.shape)[:, :, 0]
        moved = np.einsum("bxz,bxzy->bxy", mass, laws) - mass.sum(2, keepdims=True) * alone
        reason = worst(
            audited,
            np.abs(moved).sum((1, 2)) / 2,
            EXACT,
            f"not sequential: with {live} drafts known one more moves the emitted law",
        )
        if reason:
            return reason
    return ""


OF_LAWS = (
    is_law,
    ignores_masked_slots,
    emits_p_without_drafts,
    is_that_of_the_live_slots,
    takes_drafts_one_by_one,
)
OF_CLAIMS = (
    is_lossless,
    meets_its_expectation,
    meets_its_accepted_mass,
    meets_its_certificate,
    is_no_better_than_the_optimum,
    attains_the_optimum,
    holds_in_single_precision,
)


def _drafts(audited: RuleUnderAudit, mask: np.intp, x: np.intp) -> str:
    tokens = rule_laws.tuples(audited.cases.vocabulary, audited.cases.n)[x]
    slots = zip(tokens, audited.masks[mask], strict=True)
    return f"({', '.join(str(token) if live else 'masked' for token, live in slots)})"


def _bits(mask: np.ndarray) -> str:
    return "".join("1" if live else "0" for live in mask)
