"""Judge verification rules by enumeration: every claim of a rule is checked at every tuple of drafts and under every mask.

Without arguments every rule is judged on the battery (thirty pairs of laws: zeros, ties, peaks, tails, equal, disjoint, one-hot).
Exit code 0: all are what they claim; 1: one is not, the reason is in its row; 2: one could not be judged.
"""

import dataclasses
import functools
import inspect
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import theory
from experiments import _checks, _exact, _laws
from experiments._console import track
from specjax import rules
from specjax.rules import Rule

VOCABULARY = 5  # the smallest V at which half of the tokens can be zero and two still differ


@dataclasses.dataclass(frozen=True)
class Config:
    """What to judge.

    Attributes:
      rules: names of rules, or paths of Python files; all rules if none is named.
      n: numbers of drafts; each rule is judged at those that it takes.
      target: a .npy file with p, to judge on one pair of laws in place of the battery.
      draft: a .npy file with q.
    """

    rules: tyro.conf.Positional[tuple[str, ...]] = ()
    n: tuple[int, ...] = (1, 2, 3)
    target: Path | None = None
    draft: Path | None = None


class Row(NamedTuple):
    """A rule under one scheme with n drafts.

    Attributes:
      tv: the largest total variation between the emitted law and p, over pairs of laws and masks.
      acceptance: the exact acceptance, mean over the pairs; None, like `tv`, where the law could not be evaluated.
      optimum: alpha* of the scheme, mean over the pairs.
      verdict: "ok", or why the rule is not what it claims.
    """

    rule: str
    scheme: str
    n: int
    tv: float | None
    acceptance: float | None
    optimum: float
    verdict: str


Pairs = tuple[theory.battery.Pair, ...]


@functools.cache
def battery() -> Pairs:
    """The pairs of laws by which every rule is judged."""
    return tuple(theory.battery.laws(VOCABULARY, seed=0))


_battery_cases = functools.cache(lambda scheme, n: _exact.cases(battery(), scheme, n))


def audit(make: type[Rule], n: int, pairs: Pairs | None = None) -> list[Row]:
    """The verdict on a registered rule with n drafts, under every scheme of its claims that drafts n tokens.

    Args:
      make: the class of the rule; its fields have defaults, or it is per pair and takes `theory.lp.plan`.
      pairs: laws of one vocabulary; the battery if None.

    Raises:
      ValueError: the rule cannot be judged: it claims an unknown scheme, does not take n, or V^n is too large.
    """
    _check_claims(make)
    if not make.claims.admits(n):
        raise ValueError(f"rule {make.name}: takes n in {make.claims.n_range}, got n = {n}")
    schemes = [scheme for scheme in sorted(make.claims.drafting) if _exact.drafts(scheme, n)]
    tables = [_battery_cases(scheme, n) if pairs is None else _exact.cases(pairs, scheme, n) for scheme in schemes]
    return [_judge(make, cases) for cases in tables]


def _check_claims(make: type[Rule]) -> None:
    claims = make.claims
    unknown = sorted(claims.drafting - set(theory.drafting.names()))
    if unknown or not claims.drafting:
        known = ", ".join(theory.drafting.names())
        raise ValueError(f"rule {make.name}: claims the scheme {', '.join(unknown) or 'none'}, expected some of {known}")
    needed = [name for name, field in inspect.signature(make).parameters.items() if field.default is field.empty]
    if needed and not claims.per_pair:
        raise ValueError(f"rule {make.name}: {needed[0]} needs a default, so that the rule can be judged")


def _judge(make: type[Rule], cases: _exact.Cases) -> Row:
    per_pair = make.claims.per_pair
    masks = _exact.patterns(cases.n)[-1:] if per_pair else _exact.patterns(cases.n)
    row = functools.partial(Row, make.name, cases.scheme, cases.n)
    try:
        rule = _exact.planned(make, cases) if per_pair else make()
        wide, single = (_exact.laws(rule, cases.p, cases.q, cases.n, masks, dtype) for dtype in (np.float64, np.float32))
    except Exception as error:  # whatever a stranger's rule raises is a finding, not a crash
        return row(None, None, float(cases.optimum.mean()), f"raises {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    shape = (len(cases.names), len(masks), cases.vocabulary**cases.n, cases.vocabulary)
    if wide.shape != shape:
        return row(None, None, float(cases.optimum.mean()), f"returns shape {wide.shape[3:]}, expected ({cases.vocabulary},)")
    judged = _checks.Judged(rule, cases, wide, single, masks)
    checks = _checks.OF_LAWS + (_checks.OF_CLAIMS if make.claims.lossless else ())
    verdict = next(filter(None, (check(judged) for check in checks)), "ok")
    return row(_checks.loss(judged), float(_checks.acceptance(judged, wide).mean()), float(cases.optimum.mean()), verdict)


def run(config: Config) -> list[Row]:
    """The rows of all rules, schemes and n.

    Raises:
      ValueError: a rule, file or n with which nothing can be judged.
    """
    if not config.n or min(config.n) < 1:
        raise ValueError(f"n: expected numbers >= 1, got {list(config.n)}")
    if (config.target is None) != (config.draft is None):
        raise ValueError("expected both --target and --draft, or neither")
    pairs = None
    if config.target and config.draft:
        pairs = (theory.battery.Pair("the given pair", *_laws.load_pair(config.target, config.draft)),)
    chosen: list[type[Rule]] = [rules.get(name) for name in config.rules or rules.names()]
    for make in chosen:
        _check_claims(make)
        if config.rules and not any(_takes(make, n) for n in config.n):
            raise ValueError(f"rule {make.name}: takes n in {make.claims.n_range}, and none of its schemes drafts n = {list(config.n)}")
    jobs = [(make, n) for make in chosen for n in config.n if _takes(make, n)]
    return [row for make, n in track(jobs, "rules") for row in audit(make, n, pairs)]


def _takes(make: type[Rule], n: int) -> bool:
    return make.claims.admits(n) and any(_exact.drafts(scheme, n) for scheme in make.claims.drafting)


def document(rows: list[Row]) -> list[dict[str, object]]:
    """The rows as JSON."""
    return [row._asdict() for row in rows]


def status(rows: list[Row]) -> int:
    """0 if all rules are what they claim, else 1."""
    return int(any(row.verdict != "ok" for row in rows))


def show(rows: list[Row], console: Console) -> None:
    """One line per rule, scheme and n."""
    table = Table("rule", "scheme", *(Column(name, justify="right") for name in ("n", "TV to p", "acceptance", "optimum")), "verdict")
    for row in rows:
        verdict = f"[green]{row.verdict}[/]" if row.verdict == "ok" else f"[bold red]{escape(row.verdict)}[/]"
        acceptance = "-" if row.acceptance is None else f"{row.acceptance:.6f}"
        table.add_row(
            row.rule, row.scheme, str(row.n), "-" if row.tv is None else f"{row.tv:.1e}", acceptance, f"{row.optimum:.6f}", verdict
        )
    console.print(table)
