"""Audit rules and verifiers by enumeration: a rule at every tuple of drafts and under every mask, a
verifier on every tree of drafts.

Without arguments all rules and verifiers are audited: rules on the battery (thirty pairs of laws:
zeros, ties, peaks, tails, equal, disjoint, one-hot; and 64 that each run draws anew, with peaks of
every height), verifiers on small trees whose laws are random, the battery's in random order, and
each of its pairs. All drafts are enumerated where V = 5, four of them where V = 3; where V = 600,
5000 and 70000 they are drawn. What a verifier draws, and trees of a scheme from a file, are held to
their laws by frequencies, and so is what drafters draw. Each row states its scope, with what may be
chance. Exit code 0: all are what they claim; 1: one is not, the reason is in its row; 2: one could
not be audited.
"""

import dataclasses
import functools
import itertools
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import tyro
from rich.console import Console
from rich.markup import escape

import theory
from experiments.audits import decoder_audit, drafter_audit, large_audit, rule_audit, verifier_audit
from experiments.audits.large_audit import audit_large
from experiments.audits.outcomes import passes
from experiments.audits.rule_audit import audit, battery
from experiments.audits.verifier_audit import Candidate, audit_verifier, candidate, lifted
from experiments.cli.console import track
from experiments.cli.tables import Table
from experiments.inputs import law_files, named_verifiers, scheme_choice
from specjax import rules, verifiers
from specjax.rules import Rule
from specjax.verifiers import Verifier


@dataclasses.dataclass(frozen=True)
class Config:
    """What to audit.

    Attributes:
      names: rules and verifiers by name, `top_down:RULE` for a rule on trees, or paths of Python
        files; `decode` for the decoders; `drafter:KIND`, e.g. drafter:exit:1, for what a target
        drafts with, drafter:model for a draft model, `drafter` for some of each kind; everything if
        none is named.
      n: numbers of drafts; each rule is audited at those that it takes. If not given 1, 2 and 3; 4
        at V = 3; and large vocabularies.
      tree: shapes of draft trees, each verifier is audited on those that it takes: chain:3, star:2,
        full:2,2, beam:2x2, or the path of a file with a tree scheme, and its sizes: my_tree.py:2x2,
        whose trees are drawn and counted.
      target: a .npy file with p, to audit on one pair of laws in place of the battery, after every
        context of a tree.
      draft: a .npy file with q.
      seed: of the pairs, drafts and walks that are drawn; a new one each time if not given. The
        scope of each row names it.
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    n: tuple[int, ...] | None = None
    tree: tuple[str, ...] = ()
    target: Path | None = None
    draft: Path | None = None
    seed: int | None = None


DRAFTS = (1, 2, 3)  # where no number of drafts is asked for
BEYOND, FEWER = 4, 3  # and one draft more, with fewer tokens
NOBODY = "tree: expected a verifier to audit on {}, e.g. top_down:kseq"

Row = rule_audit.Row | verifier_audit.Row | decoder_audit.Row | drafter_audit.Row
Pair = theory.battery.Pair


class Chosen(NamedTuple):
    """What to audit; verifiers in one list for each name."""

    rules: list[type[Rule]]
    verifiers: list[list[Candidate]]


def run(config: Config) -> list[Row]:
    """The rows of all rules, schemes and n, those of all verifiers, schemes and trees, then those
    of decoders and drafters.

    Raises:
      ValueError: a name, file, n or tree with which nothing can be audited.
    """
    if config.n is not None and min(config.n, default=0) < 1:
        raise ValueError(f"n: expected numbers >= 1, got {list(config.n)}")
    if (config.target is None) != (config.draft is None):
        raise ValueError("expected both --target and --draft, or neither")
    pair = None
    if config.target and config.draft:
        pair = Pair("the given pair", *law_files.load_pair(config.target, config.draft))
    if config.seed is None:
        config = dataclasses.replace(config, seed=secrets.randbelow(10**6))
    chosen = _named(config.names) if config.names else _everything()
    jobs = [
        *_rule_jobs(chosen.rules, config, pair),
        *_verifier_jobs(chosen.verifiers, config, pair),
        *_decoder_jobs(config),
        *_drafter_jobs(config),
    ]
    # most of the time goes into compiling, on one core each
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = [pool.submit(job) for job in jobs]
        return [row for done in track(begun, "audit") for row in done.result()]


def _everything() -> Chosen:
    makes = [verifiers.get(name) for name in verifiers.names()]
    return Chosen(
        list(rules.all()), [_candidates(make, verifier_audit.plain_rules()) for make in makes]
    )


def _named(names: tuple[str, ...]) -> Chosen:
    chosen = Chosen([], [])
    for name in names:
        first, _, rule = name.partition(":")
        if name == decoder_audit.NAME or first == drafter_audit.NAME:
            continue
        make = named_verifiers.find(first)
        if rule and not named_verifiers.lifts_rules(make):
            raise ValueError(f"{first}: takes no rule, got {rule!r}")
        if named_verifiers.is_verifier(make):
            chosen.verifiers.append(
                _candidates(make, [rules.get(rule)] if rule else verifier_audit.every_rule())
            )
        else:
            chosen.rules.append(make)
    return chosen


def _candidates(make: type, lifts: list[type[Rule]]) -> list[Candidate]:
    return (
        [lifted(make, rule) for rule in lifts]
        if named_verifiers.lifts_rules(make)
        else [candidate(make)]
    )


def _rule_jobs(
    makes: list[type[Rule]], config: Config, pair: Pair | None
) -> list[Callable[[], Sequence[Row]]]:
    numbers = config.n or DRAFTS
    seed = config.seed or 0
    jobs: list[Callable[[], Sequence[Row]]] = []
    for make in makes:
        rule_audit.check_claims(make)
        taken = [n for n in numbers if rule_audit.takes(make, n)]
        if config.names and not taken:
            raise ValueError(
                f"rule {make.name}: takes n in {make.claims.n_range}, and none of its schemes "
                f"drafts n = {list(numbers)}"
            )
        jobs += [functools.partial(audit, make, n, pair and (pair,), seed) for n in taken]
        if config.n is None and pair is None:
            if rule_audit.takes(make, BEYOND):
                jobs.append(functools.partial(audit, make, BEYOND, None, seed, FEWER))
            jobs += [
                functools.partial(audit_large, make, scheme, size, seed)
                for scheme, size in large_audit.sizes(make.claims)
            ]
    return jobs


def _verifier_jobs(
    groups: list[list[Candidate]], config: Config, pair: Pair | None
) -> list[Callable[[], Sequence[Row]]]:
    """Those that are covered; where a verifier or a tree was named and none of its own is, the
    first reason is raised.
    """
    covered: list[tuple[Candidate, str, str]] = []
    for group in groups:
        held, reasons = _covered(group, config.tree or verifier_audit.TREES)
        if not held and config.names:
            raise ValueError(_refusal(group, config.tree, reasons))
        covered += (
            held
            if config.tree
            else {(one.name, scheme): (one, scheme, tree) for one, scheme, tree in held}.values()
        )
    for tree in config.tree:
        if tree not in {found for _, _, found in covered}:
            raise ValueError(
                _refusal(groups[0], (tree,), _covered(groups[0], (tree,))[1])
                if groups
                else NOBODY.format(tree)
            )
    return [
        functools.partial(_rows, one, scheme, tree, pair, config.seed or 0)
        for one, scheme, tree in covered
    ]


def _decoder_jobs(config: Config) -> list[Callable[[], Sequence[Row]]]:
    """Those of decoders, where they are named, or nothing is."""
    if decoder_audit.NAME not in config.names and not _asks_for_all(config):
        return []
    return [
        functools.partial(_decoder_rows, name, cases)
        for name, cases in decoder_audit.cases().items()
    ]


def _drafter_jobs(config: Config) -> list[Callable[[], Sequence[Row]]]:
    """Those of drafters, where they are named, or nothing is."""
    texts = [name for name in config.names if name.partition(":")[0] == drafter_audit.NAME]
    if _asks_for_all(config):
        texts = [drafter_audit.NAME]
    asked = [drafter_audit.named(text) for text in texts]
    return [functools.partial(drafter_audit.audit_all, names, config.seed or 0) for names in asked]


def _asks_for_all(config: Config) -> bool:
    return not (config.names or config.n or config.tree or config.target)


def _decoder_rows(name: str, cases: Sequence[decoder_audit.Case]) -> list[Row]:
    return [decoder_audit.audit(name, cases)]


def _refusal(group: list[Candidate], trees: tuple[str, ...], reasons: list[str]) -> str:
    """Why nobody of a group takes the trees: what a decode says; where nobody decodes, or no tree
    is named, what the claims leave out.
    """
    verifier = group[0].verifier
    return (
        scheme_choice.refusal(verifier, trees)
        if trees and isinstance(verifier, Verifier)
        else reasons[0]
    )


def _covered(
    group: list[Candidate], trees: tuple[str, ...]
) -> tuple[list[tuple[Candidate, str, str]], list[str]]:
    """Which verifier is audited under which scheme on which tree, and why the others are not."""
    held = []
    reasons = []
    for one, tree in itertools.product(group, trees):
        for scheme in sorted(one.claims.drafting):
            try:
                verifier_audit.check(one, scheme, tree)
                held.append((one, scheme, tree))
            except ValueError as error:
                reasons.append(str(error))
    return held, reasons


def _rows(
    one: Candidate,
    scheme: str,
    tree: str,
    pair: Pair | None,
    seed: int,
) -> list[Row]:
    return [verifier_audit.audit(one, scheme, tree, pair, seed)]


def document(rows: list[Row]) -> list[dict[str, object]]:
    """The rows as JSON."""
    return [row._asdict() for row in rows]


def status(rows: Sequence[Row]) -> int:
    """0 if all rules and verifiers are what they claim, else 1."""
    return int(not all(_passes(row.verdict) for row in rows))


def _passes(verdict: str) -> bool:
    return passes(verdict) or verdict.startswith(verifier_audit.WITHIN)


def show(rows: list[Row], console: Console) -> None:
    """One line per rule, scheme and n; one per verifier, scheme and tree; those of decoders and
    drafters; then all that their scopes say.
    """
    of_rules = [row for row in rows if isinstance(row, rule_audit.Row)]
    of_verifiers = [row for row in rows if isinstance(row, verifier_audit.Row)]
    of_decoders = [row for row in rows if isinstance(row, decoder_audit.Row)]
    if of_rules:
        table = _table("rule", "n", "TV to p", "acceptance")
        for row in of_rules:
            table.add(
                row.rule,
                row.scheme,
                str(row.n),
                *_cells(row.tv, row.acceptance, row.optimum, row.scope, row.verdict),
            )
        console.print(table)
    if of_verifiers:
        table = _table("verifier", "tree", "TV of texts", "accepted")
        for one in of_verifiers:
            table.add(
                one.verifier,
                one.scheme,
                one.tree,
                *_cells(one.tv, one.expected_accepted, one.optimum, one.scope, one.verdict),
            )
        console.print(table)
    if of_decoders:
        heads = ("decoder", "scheme", "tree", "TV to p", "scope", "verdict")
        table = Table(heads, 3, texts=("scope", "verdict"))
        for made in of_decoders:
            tv, _, _, *words = _cells(made.tv, None, None, made.scope, made.verdict)
            table.add(made.transforms, made.scheme, made.tree, tv, *words)
        console.print(table)
    of_drafters = [row for row in rows if isinstance(row, drafter_audit.Row)]
    if of_drafters:
        heads = ("drafter", "scheme", "tree", "TV of texts", "scope", "verdict")
        table = Table(heads, 3, texts=("scope", "verdict"))
        for held in of_drafters:
            tv, _, _, *words = _cells(held.tv, None, None, held.scope, held.verdict)
            table.add(held.drafter, held.scheme, held.tree, tv, *words)
        console.print(table)
    console.print(
        "ok holds for its scope:",
        *dict.fromkeys(row.scope for row in rows),
        sep="\n  ",
        markup=False,
        highlight=False,
    )


def _table(what: str, size: str, tv: str, accepted: str) -> Table:
    heads = (what, "scheme", size, tv, accepted, "optimum", "scope", "verdict")
    return Table(heads, 3, texts=("scope", "verdict"))


def _cells(
    tv: float | None,
    accepted: float | None,
    optimum: float | None,
    scope: str,
    verdict: str,
) -> tuple[str, ...]:
    colour = "green" if _passes(verdict) else "bold red"
    values = ("-" if value is None else f"{value:.6f}" for value in (accepted, optimum))
    return (
        "-" if tv is None else f"{tv:.1e}",
        *values,
        escape(scope.partition(":")[0]),
        f"[{colour}]{escape(verdict)}[/]",
    )


__all__ = [
    "Config",
    "audit",
    "audit_large",
    "audit_verifier",
    "battery",
    "candidate",
    "document",
    "lifted",
    "run",
    "show",
    "status",
]
