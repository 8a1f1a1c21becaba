"""A verifier audited on a draft tree: its law on every tree that can be drawn, and the sequences
that it emits.
"""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import theory
from experiments.audits import lossy_tree_checks, verifier_checks, walk_checks
from experiments.audits.outcomes import LOSSY, OK, Outcome, outcome
from experiments.audits.rule_audit import check_claims
from experiments.cli.console import raised
from experiments.enumeration import rule_laws, sampled_trees, verifier_laws
from experiments.enumeration.sampled_trees import NoTreeError
from specjax import rules, verifiers
from specjax.rules import Claims, Rule
from specjax.trees import Topology, growth
from specjax.trees.growth import TreeDrafting
from specjax.verifiers import Verifier

TREES = ("chain:2", "full:2,2")  # where none is named: the last that a verifier takes
WITHIN = "lossless within TV"  # how a verdict begins that rests on drawn trees


class Row(NamedTuple):
    """A verifier on one tree under one scheme.

    Attributes:
      tv: the largest total variation between emitted texts of D + 1 tokens and the target's, over
        worlds and missing nodes.
      expected_accepted: exact accepted drafts, without the token that the target adds, mean over
        the same worlds as the optimum; None, like `tv`, where the law could not be evaluated.
      optimum: the joint optimum of lossless verifiers on the tree, mean over the worlds in which
        the linear program solves it; None beyond its size.
      verdict: "ok", "ok, lossy" of one that does not claim to be lossless, "lossless within TV .."
        where the trees were drawn (see `within`), or why the verifier is not what it claims.
      scope: on what the verdict rests, in short up to the colon; then what was seen that is no
        fault.
    """

    verifier: str
    scheme: str
    tree: str
    tv: float | None
    expected_accepted: float | None
    optimum: float | None
    verdict: Outcome
    scope: str


class Candidate(NamedTuple):
    """A verifier to audit; of one that lifts a rule to a tree, the claims are the rule's."""

    name: str
    verifier: Verifier
    claims: Claims
    rule: Rule | None


def candidate(make: type[Verifier]) -> Candidate:
    """A registered verifier that stands alone.

    Raises:
      ValueError: it has no claims, claims an unknown scheme, or has a field without a default.
    """
    needed = [
        name
        for name, field in inspect.signature(make).parameters.items()
        if field.default is field.empty
    ]
    if needed:
        raise ValueError(
            f"verifier {make.name}: {needed[0]} needs a default, for the audit makes one without"
        )
    if not hasattr(make, "claims"):
        raise ValueError(f"verifier {make.name}: expected claims, to audit it by")
    verifier = make()
    known = theory.drafting.names()
    unknown = sorted(verifier.claims.drafting - set(known))
    if unknown or not verifier.claims.drafting:
        raise ValueError(
            f"verifier {make.name}: claims the scheme {', '.join(unknown) or 'none'}, expected "
            f"some of {', '.join(known)}"
        )
    return Candidate(make.name, verifier, verifier.claims, None)


def lifted(make: Callable[[Rule], Verifier], rule: type[Rule]) -> Candidate:
    """A verifier that takes a rule to every node, with this rule.

    Raises:
      ValueError: the rule cannot be audited, or holds the plan of one pair of laws.
    """
    check_claims(rule)
    rules.check_decodes(rule)
    verifier = make(rule())
    return Candidate(f"{verifier.name}:{rule.name}", verifier, verifier.claims, rule())


def every_rule() -> list[type[Rule]]:
    """The rules that serve any pair of laws."""
    return [make for make in rules.all() if not make.claims.per_pair]


def plain_rules() -> list[type[Rule]]:
    """Of the lossless ones that take drafts one by one, one for each scheme: they compile fast, and
    all rules have rows of their own.
    """
    sequential = [
        make for make in every_rule() if make.claims.by_default and make.claims.sequential
    ]
    plain = [make for make in sequential if len(make.claims.drafting) == 1]
    return list({make.claims.drafting: make for make in plain}.values())


def check(one: Candidate, scheme: str, tree: str) -> None:
    """Refuse what the claims do not cover.

    Raises:
      ValueError: the tree is no tree of this scheme, or the verifier or its rule does not take it.
    """
    drafting = growth.parse(tree, scheme)
    _check_drafts(drafting, scheme, tree)
    if one.rule is not None:
        for n in _arities(drafting.topology):
            rules.check_scheme(
                one.rule,
                growth.node_scheme(f"rule {one.rule.name}", one.rule.claims, drafting.scheme),
                n,
            )
        verifiers.check_covers(one.verifier, drafting.scheme, drafting.topology)
    elif (
        growth.node_scheme(f"verifier {one.name}", one.claims, drafting.scheme)
        not in one.claims.drafting
    ):
        covered = ", ".join(sorted(one.claims.drafting))
        raise ValueError(
            f"verifier {one.name}: its proof covers the schemes {covered}, not {drafting.scheme}, "
            f"as {tree} is drawn"
        )
    try:
        verifier_laws.refuse(one.verifier, drafting)
    except ValueError as error:
        raise ValueError(f"{tree}: {error}") from error


def _check_drafts(drafting: TreeDrafting, scheme: str, tree: str) -> None:
    if scheme == "independent":
        raise ValueError(
            f"{tree}: a node of a tree has one draft law, the scheme independent takes one for "
            "each slot"
        )
    if isinstance(drafting, growth.Fixed) and not all(
        rule_laws.drafts(scheme, n) for n in _arities(drafting.topology)
    ):
        raise ValueError(
            f"{tree}: the scheme {scheme} does not draft "
            f"{' and '.join(map(str, _arities(drafting.topology)))} tokens"
        )


def _arities(topology: Topology) -> list[int]:
    return [n for n in topology.arities if n > 0]


_default_cases = functools.cache(lambda tree, scheme: verifier_laws.cases(tree, scheme, None))


def audit_verifier(
    one: Candidate, scheme: str, tree: str, pair: theory.battery.Pair | None = None
) -> Row:
    """The verdict on a verifier on one tree under one scheme.

    Args:
      one: the verifier, with its claims.
      scheme: how the tree is drafted.
      tree: its shape, as a user names it.
      pair: the laws after every context; if None, those of many worlds.

    Raises:
      ValueError: the verifier's claims do not cover the tree, or there is too much to enumerate.
    """
    check(one, scheme, tree)
    return audit(one, scheme, tree, pair)


def audit(
    one: Candidate,
    scheme: str,
    tree: str,
    pair: theory.battery.Pair | None,
    seed: int = 0,
) -> Row:
    """`audit_verifier`, once the claims are known to cover the tree."""
    row = functools.partial(Row, one.name, scheme, tree)
    try:
        cases = (
            _default_cases(tree, scheme)
            if pair is None
            else verifier_laws.cases(tree, scheme, pair)
        )
    except NoTreeError as finding:
        return row(None, None, None, Outcome(str(finding)), f"{sampled_trees.DRAWS} trees: drawn")
    audited = verifier_checks.VerifierUnderAudit(
        verifier=one.verifier,
        cases=cases,
        rows=verifier_laws.rows(cases),
        laws=functools.partial(_laws, one.verifier, cases),
        seed=seed,
    )
    lossless = one.claims.lossless
    checks = verifier_checks.OF_LOSSLESS if lossless else lossy_tree_checks.OF_LOSSY
    if one.claims.sequential:
        checks += verifier_checks.OF_SEQUENTIAL
    try:
        verdict = outcome(audited, checks + walk_checks.OF_WALKS)
    except _NoLaws as finding:
        return row(None, None, cases.optimum, Outcome(str(finding)), scope(cases, seed))
    accepted = verifier_checks.accepted(audited, audited.wide)
    values = [
        value
        for instance, value in accepted
        if cases.optimum is None or instance.optimum is not None
    ]
    loss = verifier_checks.loss(audited)
    seen = ""
    if verdict == OK:
        seen = verifier_checks.flips_at_near_ties(audited)
        if not lossless:
            verdict = LOSSY
            seen = lossy_tree_checks.beside_the_front(audited) + seen
        elif cases.draws:
            verdict = within(loss, cases)
    return row(loss, float(np.mean(values)), cases.optimum, verdict, scope(cases, seed) + seen)


def scope(cases: verifier_laws.Cases, seed: int) -> str:
    """On what a verdict rests."""
    worlds = sum(instance.missing is None for instance in cases.instances)
    vocabulary = cases.instances[0].drawn.target.shape[1]
    trees = f"{cases.draws} drawn trees" if cases.draws else "every tree, whole and with gaps"
    walks = walk_checks.walks(cases)
    chance = walk_checks.chance(cases)
    return (
        f"V = {vocabulary}, {worlds} worlds: {trees}, float64 and float32; {walks:.1g} walks, TV "
        f"{chance:.1g} may be chance; seed {seed}"
    )


def within(loss: float, cases: verifier_laws.Cases) -> Outcome:
    """The verdict on drawn trees: how far from the target at most, in each world with probability 1
    - DELTA.
    """
    return Outcome(f"{WITHIN} {loss + cases.allowance:.1e} ({cases.draws} trees)")


class _NoLaws(Exception):
    """Why a verifier has no laws to audit."""


def _laws(
    verifier: Verifier, cases: verifier_laws.Cases, rows: verifier_laws.Rows, dtype: type
) -> verifier_laws.Array:
    """Its laws; whatever a stranger's verifier raises is a finding, not a crash."""
    try:
        laws = verifier_laws.laws(verifier, cases.drafting, rows, dtype)
    except Exception as error:
        raise _NoLaws(raised(error)) from error
    if laws.shape != rows.p.shape:
        raise _NoLaws(f"returns shape {laws.shape[1:]}, expected {rows.p.shape[1:]}")
    return laws
