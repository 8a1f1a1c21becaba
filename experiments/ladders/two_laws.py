"""The ladder of two laws: every optimum computed twice, and small vocabularies enumerated where a
rule has no closed form.
"""

import functools
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

import theory
from experiments.audits.file_audit import Findings, refuted
from experiments.cli.console import track
from experiments.enumeration import rule_laws
from experiments.inputs import law_files
from experiments.ladders.ladder import Ladder, Study, say_absent
from experiments.stats.means import Values
from specjax import bounds, drafting, rules
from specjax.rules import Rule

CHECKED = 4096  # up to this V theory computes every optimum again
AGREEMENT = 1e-9  # between specjax.bounds in float64 and theory


def study(
    p: law_files.Law,
    q: law_files.Law,
    ns: tuple[int, ...],
    names: tuple[str, ...],
    audits: Findings,
) -> Study:
    """Every ladder of one pair.

    Raises:
      ValueError: no named rule has a value at any n.
      RuntimeError: theory disagrees with `specjax.bounds`.
    """
    entropy = -np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p)))
    first_try = rule_laws.expectations(bounds.overlap, p[None], q[None])
    # most of the time goes into compiling, on one core each
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = [_ask(pool, p, q, n, names) for n in ns]
        ladders = tuple(_ladder(ask, audits) for ask in track(asked, "drafts at a node"))
    absent = {
        (make.name, ask.n): value.result()[2]
        for ask in asked
        for make, value in ask.attained.items()
    }
    some = any(value is not None for ladder in ladders for value in ladder.acceptance.values())
    say_absent({where: reason for where, reason in absent.items() if reason}, some)
    return Study(len(p), first_try, np.array([entropy]), ladders)


class _Asked(NamedTuple):
    """What is computed with n drafts: of every scheme alpha* and |H*|; of every rule its acceptance
    and scheme, or why it has none.
    """

    n: int
    singleton: Future[Values]
    optima: dict[str, Future[tuple[float, int | None]]]
    attained: dict[type[Rule], Future[tuple[float | None, str | None, str]]]


def _ask(
    pool: ThreadPoolExecutor,
    p: law_files.Law,
    q: law_files.Law,
    n: int,
    names: tuple[str, ...],
) -> _Asked:
    problems = {
        scheme: theory.Problem(p, q, n, scheme)
        for scheme in drafting.from_one_law()
        if rule_laws.drafts(scheme, n)
    }
    chosen: list[type[Rule]] = [rules.get(name) for name in names or rules.names()]
    singleton = pool.submit(
        rule_laws.expectations, functools.partial(bounds.singleton_bound, n=n), p[None], q[None]
    )
    optima = {scheme: pool.submit(_optimum, problem) for scheme, problem in problems.items()}
    return _Asked(
        n,
        singleton,
        optima,
        {make: pool.submit(_value, make, problems, n, bool(names)) for make in chosen},
    )


def _ladder(asked: _Asked, audits: Findings) -> Ladder:
    lossless = frozenset(make.name for make in asked.attained if make.claims.lossless).difference(
        refuted(audits)
    )
    ladder = Ladder(asked.n, asked.singleton.result(), {}, {}, {}, {}, lossless, audits=audits)
    for scheme in drafting.from_one_law():
        value, ladder.subset_size[scheme] = (
            asked.optima[scheme].result() if scheme in asked.optima else (None, None)
        )
        ladder.alpha_star[scheme] = None if value is None else np.array([value])
    for make, future in asked.attained.items():
        value, ladder.under[make.name], _ = future.result()
        ladder.acceptance[make.name] = None if value is None else np.array([value])
    return ladder


def _optimum(problem: theory.Problem) -> tuple[float, int | None]:
    """alpha* in float64, and |H*|; theory computes both again where it can do so quickly.

    Raises:
      RuntimeError: theory disagrees.
    """
    with jax.enable_x64(True):
        optimal = jax.jit(
            bounds.optimal_acceptance, static_argnums=(2, 3), compiler_options=rule_laws.ONCE
        )
        value = float(optimal(problem.p, problem.q, problem.n, problem.drafting))
    if len(problem.p) > CHECKED and problem.drafting == "without_replacement":
        return value, None
    again = theory.subsets.optimum(problem)
    if abs(value - again.value) > AGREEMENT:
        raise RuntimeError(
            f"alpha* under {problem.drafting}: specjax says {value:.12g}, theory {again.value:.12g}"
        )
    return value, int(again.subset.sum())


def _value(
    make: type[Rule], problems: dict[str, theory.Problem], n: int, named: bool
) -> tuple[float | None, str | None, str]:
    """A rule's acceptance and its scheme; or why it has none, where it was named or fails."""
    try:
        value, scheme, reason = _computed(make, problems, n, named)
    except Exception as error:  # a rule may be anybody's
        return None, None, f"{type(error).__name__}: {error}"
    return value, scheme, reason if named else ""


def _computed(
    make: type[Rule], problems: dict[str, theory.Problem], n: int, named: bool
) -> tuple[float | None, str | None, str]:
    """A rule's acceptance and its scheme, or why it has none."""
    claims = make.claims
    if claims.searches and not named:
        return None, None, "it searches, and is run where it is named"
    scheme = next((scheme for scheme in problems if scheme in claims.drafting), None)
    if not claims.admits(n):
        return None, None, f"takes n in {claims.n_range}, got n = {n}"
    if scheme is None:
        return (
            None,
            None,
            f"its proof covers {', '.join(sorted(claims.drafting))}, none of which drafts {n} "
            "tokens from one law",
        )
    problem = problems[scheme]
    rule = None if claims.per_pair else make()
    stated = rule and rules.closed_form(rule, n, scheme)
    if stated:
        return (
            float(rule_laws.expectations(stated, problem.p[None], problem.q[None])[0]),
            scheme,
            "",
        )
    if len(problem.p) ** n > theory.lp.PLAN_CELLS:
        return (
            None,
            None,
            f"no closed form under {scheme}, and V^n = {len(problem.p)}^{n} is too large to "
            "enumerate",
        )
    if rule is None:
        optimal = theory.lp.solve(problem)
        return optimal.value - optimal.gap, scheme, ""
    return rule_laws.acceptance(rule, problem), scheme, ""
