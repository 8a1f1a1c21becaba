"""A rule audited at one node: every claim, at every tuple of drafts, under every mask."""

import functools
import inspect
from typing import NamedTuple

import numpy as np

import theory
from experiments.audits import lossy_checks, rule_checks
from experiments.audits.outcomes import LOSSY, OK, Outcome, outcome
from experiments.audits.rule_under_audit import RuleUnderAudit, acceptance, loss
from experiments.cli import seeds
from experiments.cli.console import raised
from experiments.enumeration import rule_laws
from specjax.rules import Rule

SEARCHED = 8  # a rule that searches is audited on every 8th of the drawn pairs
VOCABULARY = 5  # the smallest V at which half of the tokens can be zero and two still differ


class Row(NamedTuple):
    """A rule under one scheme with n drafts.

    Attributes:
      tv: the largest total variation between the emitted law and p, over pairs of laws and masks.
      acceptance: the exact acceptance, mean over the pairs; None, like `tv`, where the law could
        not be evaluated.
      optimum: alpha* of the scheme, mean over the pairs.
      verdict: "ok", "ok, lossy" of a rule that does not claim to be lossless, or why the rule is
        not what it claims.
      scope: on what the verdict rests, in short up to the colon; then what was seen that is no
        fault.
    """

    rule: str
    scheme: str
    n: int
    tv: float | None
    acceptance: float | None
    optimum: float | None
    verdict: Outcome
    scope: str


Pairs = tuple[theory.battery.Pair, ...]


@functools.cache
def battery(vocabulary: int = VOCABULARY, seed: int = 0) -> Pairs:
    """The pairs of laws by which every rule is audited: those that have broken one, and those that
    the seed draws.
    """
    return (
        *theory.battery.laws(vocabulary, seed=0),
        *theory.battery.drawn(vocabulary, seeds.natural(seed)),
    )


@functools.cache
def _battery_cases(
    scheme: str,
    n: int,
    vocabulary: int,
    seed: int,
    searches: bool,
) -> rule_laws.Cases:
    pairs = battery(vocabulary, seed)
    known = len(theory.battery.laws(vocabulary, seed=0))
    return rule_laws.cases(
        (*pairs[:known], *pairs[known::SEARCHED]) if searches else pairs, scheme, n
    )


def audit(
    make: type[Rule],
    n: int,
    pairs: Pairs | None = None,
    seed: int = 0,
    vocabulary: int = VOCABULARY,
) -> list[Row]:
    """The verdict on a registered rule with n drafts, under every scheme of its claims that drafts
    n tokens.

    Args:
      make: the class of the rule; its fields have defaults, or it is per pair and takes
        `theory.lp.plan`.
      n: drafts at the node.
      pairs: laws of one vocabulary; the battery if None.
      seed: of the battery's random pairs.
      vocabulary: of the battery.

    Raises:
      ValueError: the rule cannot be audited: it claims an unknown scheme, does not take n, or V^n
        is too large.
    """
    check_claims(make)
    if not make.claims.admits(n):
        raise ValueError(f"rule {make.name}: takes n in {make.claims.n_range}, got n = {n}")
    schemes = [scheme for scheme in sorted(make.claims.drafting) if rule_laws.drafts(scheme, n)]
    tables = [
        rule_laws.cases(pairs, scheme, n)
        if pairs
        else _battery_cases(scheme, n, vocabulary, seed, make.claims.searches)
        for scheme in schemes
    ]
    return [_audited(make, cases, "" if pairs else f"; seed {seed}") for cases in tables]


def check_claims(make: type[Rule]) -> None:
    """Refuse a rule that cannot be audited.

    Raises:
      ValueError: it claims an unknown scheme, or has a field without a default.
    """
    claims = make.claims
    unknown = sorted(claims.drafting - set(theory.drafting.names()))
    if unknown or not claims.drafting:
        known = ", ".join(theory.drafting.names())
        raise ValueError(
            f"rule {make.name}: claims the scheme {', '.join(unknown) or 'none'}, expected some of "
            f"{known}"
        )
    needed = [
        name
        for name, field in inspect.signature(make).parameters.items()
        if field.default is field.empty
    ]
    if needed and not claims.per_pair:
        raise ValueError(
            f"rule {make.name}: {needed[0]} needs a default, so that the rule can be audited"
        )


def _audited(make: type[Rule], cases: rule_laws.Cases, drawn: str) -> Row:
    per_pair = make.claims.per_pair
    where = "" if per_pair else ", every mask"
    scope = (
        f"V = {cases.vocabulary}, {len(cases.names)} pairs: every tuple of drafts{where}, float64 "
        f"and float32{drawn}"
    )
    masks = rule_laws.patterns(cases.n)[-1:] if per_pair else rule_laws.patterns(cases.n)
    row = functools.partial(Row, make.name, cases.scheme, cases.n)
    optimum = float(cases.optimum.mean())
    try:
        rule = rule_laws.planned(make, cases) if per_pair else make()
        laws = functools.partial(rule_laws.laws, rule, cases.p, cases.q, cases.n, masks)
        wide = laws(np.float64)
        single = laws(np.float32)
    except Exception as error:  # whatever a stranger's rule raises is a finding, not a crash
        return row(None, None, optimum, Outcome(raised(error)), scope)
    shape = (len(cases.names), len(masks), cases.vocabulary**cases.n, cases.vocabulary)
    if wide.shape != shape:
        words = f"returns shape {wide.shape[3:]}, expected ({cases.vocabulary},)"
        return row(None, None, optimum, Outcome(words), scope)
    audited = RuleUnderAudit(rule, cases, wide, single, masks)
    lossless = make.claims.lossless
    of_claims = rule_checks.OF_CLAIMS if lossless else lossy_checks.OF_LOSSY
    verdict = outcome(audited, rule_checks.OF_LAWS + of_claims)
    warning = rule_checks.flips_at_near_ties(audited) if verdict == OK else ""
    return row(
        loss(audited),
        float(acceptance(audited, wide).mean()),
        optimum,
        LOSSY if verdict == OK and not lossless else verdict,
        scope + warning,
    )


def takes(make: type[Rule], n: int) -> bool:
    """Whether a rule takes n drafts that one of its schemes draws."""
    return make.claims.admits(n) and any(
        rule_laws.drafts(scheme, n) for scheme in make.claims.drafting
    )
