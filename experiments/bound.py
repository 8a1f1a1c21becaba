"""The bound ladder of a pair of laws: the optimum of every drafting scheme, and what each rule attains of it, in exact numbers.

alpha* is the largest probability, over all lossless rules, that the emitted token is one of the n drafts. A rule is taken under the
first scheme that its proof covers; nothing is sampled.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
from rich.console import Console
from rich.table import Column, Table

import theory
from experiments import _exact, _laws, _schemes
from experiments._console import track
from specjax import bounds, rules
from specjax.rules import Rule

CHECKED = 4096  # up to this V theory computes every optimum again
AGREEMENT = 1e-9  # between specjax.bounds in float64 and theory


@dataclasses.dataclass(frozen=True)
class Config:
    """The pair of laws.

    Attributes:
      target: a .npy file with p, a vector of V probabilities.
      draft: a .npy file with q.
      n: number of drafts.
      rules: names of rules, or paths of Python files; all rules if none is named.
    """

    target: Path
    draft: Path
    n: int
    rules: tuple[str, ...] = ()


class Ladder(NamedTuple):
    """What can be accepted of n drafts.

    Attributes:
      alpha_star: the optimum of each scheme, None where the scheme does not draft n tokens.
      subset_size: |H*| of each scheme, None where it has no optimum or V is too large for theory to name the set.
      acceptance: of each rule, None where it does not take n drafts or its acceptance cannot be computed at this V and n.
      under: the scheme of each rule's acceptance.
    """

    n: int
    alpha_star: dict[str, float | None]
    subset_size: dict[str, int | None]
    acceptance: dict[str, float | None]
    under: dict[str, str | None]


def run(config: Config) -> Ladder:
    """The ladder.

    Raises:
      ValueError: a file does not hold a law, the vocabularies differ, n < 1, or a named rule has no value here.
    """
    p, q = _laws.load_pair(config.target, config.draft)
    if config.n < 1:
        raise ValueError(f"n: expected >= 1, got {config.n}")
    drafted = [scheme for scheme in _schemes.from_one_law() if _exact.drafts(scheme, config.n)]
    problems = {scheme: theory.Problem(p, q, config.n, scheme) for scheme in drafted}
    chosen: list[type[Rule]] = [rules.get(name) for name in config.rules or rules.names()]
    optima = {scheme: _optimum(problem) for scheme, problem in problems.items()}
    ladder = Ladder(config.n, {}, {}, {}, {})
    for scheme in _schemes.from_one_law():
        ladder.alpha_star[scheme], ladder.subset_size[scheme] = optima.get(scheme, (None, None))
    for make in track(chosen, "rules"):
        value, under, reason = _value(make, problems, config.n)
        if config.rules and value is None:
            raise ValueError(f"rule {make.name}: {reason}")
        ladder.acceptance[make.name], ladder.under[make.name] = value, under
    return ladder


def _optimum(problem: theory.Problem) -> tuple[float, int | None]:
    """alpha* in float64, and |H*|; theory computes both again where it can do so quickly.

    Raises:
      RuntimeError: theory disagrees.
    """
    with jax.enable_x64(True):
        optimal = jax.jit(bounds.optimal_acceptance, static_argnums=(2, 3))
        value = float(optimal(problem.p, problem.q, problem.n, problem.drafting))
    if len(problem.p) > CHECKED and problem.drafting == "without_replacement":
        return value, None
    again = theory.subsets.optimum(problem)
    if abs(value - again.value) > AGREEMENT:
        raise RuntimeError(f"alpha* under {problem.drafting}: specjax says {value:.12g}, theory {again.value:.12g}")
    return value, int(again.subset.sum())


def _value(make: type[Rule], problems: dict[str, theory.Problem], n: int) -> tuple[float | None, str | None, str]:
    """A rule's acceptance and its scheme, or why it has none."""
    claims = make.claims
    scheme = next((scheme for scheme in problems if scheme in claims.drafting), None)
    if not claims.admits(n):
        return None, None, f"takes n in {claims.n_range}, got n = {n}"
    if scheme is None:
        return None, None, f"its proof covers {', '.join(sorted(claims.drafting))}, none of which drafts {n} tokens from one law"
    problem = problems[scheme]
    rule = None if claims.per_pair else make()
    offered = getattr(rule, "expected_acceptance", None)
    if offered and scheme in (claims.expectation_under or claims.drafting):
        stated = _exact.expectations(lambda p, q: offered(p, q, n), problem.p[None], problem.q[None])
        return float(stated[0]), scheme, ""
    if len(problem.p) ** n > theory.lp.PLAN_CELLS:
        return None, None, f"no closed form under {scheme}, and V^n = {len(problem.p)}^{n} is too large to enumerate"
    if rule is None:
        optimal = theory.lp.solve(problem)
        return optimal.value - optimal.gap, scheme, ""
    return _exact.acceptance(rule, problem), scheme, ""


def document(ladder: Ladder) -> dict[str, object]:
    """The optima and the acceptances as JSON."""
    return {"n": ladder.n, "alpha_star": ladder.alpha_star, "acceptance": ladder.acceptance}


def show(ladder: Ladder, console: Console) -> None:
    """Two tables: the schemes, the rules."""
    optima = Table("scheme", Column("alpha*", justify="right"), Column("|H*|", justify="right"), title=f"n = {ladder.n}: the optimum")
    for scheme, value in ladder.alpha_star.items():
        size = ladder.subset_size[scheme]
        optima.add_row(scheme, _number(value), "-" if size is None else str(size))
    console.print(optima)
    accepted = Table("rule", "scheme", Column("acceptance", justify="right"), Column("gap", justify="right"), title="the rules")
    for rule, value in ladder.acceptance.items():
        under = ladder.under[rule]
        best = ladder.alpha_star[under] if under else None
        gap = None if value is None or best is None else max(best - value, 0)
        accepted.add_row(rule, under or "-", _number(value), _number(gap))
    console.print(accepted)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
