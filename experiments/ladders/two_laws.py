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
from specjax.numerics import relative_entropy, total_variation
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
        (make.name, ask.n): value.result().reason
        for ask in asked
        for make, value in ask.attained.items()
    }
    some = any(value is not None for ladder in ladders for value in ladder.acceptance.values())
    say_absent({where: reason for where, reason in absent.items() if reason}, some)
    return Study(len(p), first_try, np.array([entropy]), ladders)


class _Attained(NamedTuple):
    """A rule's acceptance and its scheme, or the reason for which it has none; of a lossy one the
    bias, if that is known.
    """

    acceptance: float | None
    scheme: str | None
    reason: str = ""
    bias: tuple[float, float] | None = None


class _Asked(NamedTuple):
    """What is computed with n drafts: of every scheme alpha* and |H*|; of every rule its acceptance
    and scheme, or why it has none.
    """

    n: int
    singleton: Future[Values]
    optima: dict[str, Future[tuple[float, int | None]]]
    attained: dict[type[Rule], Future["_Attained"]]


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
    makes: list[type[Rule]] = [rules.get(name) for name in names or rules.names()]
    chosen = [make for make in makes if names or make.claims.lossless]
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
        ladder.alpha_star[scheme] = _column(value)
    tv: dict[str, Values | None] = {}
    kl: dict[str, Values | None] = {}
    for make, future in asked.attained.items():
        found = future.result()
        ladder.under[make.name] = found.scheme
        ladder.acceptance[make.name] = _column(found.acceptance)
        if not make.claims.lossless:
            lost, divergence = found.bias or (None, None)
            tv[make.name] = _column(lost)
            kl[make.name] = _column(divergence)
    return ladder._replace(tv=tv, kl=kl)


def _column(value: float | None) -> Values | None:
    return None if value is None else np.array([value])


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


def _value(make: type[Rule], problems: dict[str, theory.Problem], n: int, named: bool) -> _Attained:
    """What a rule attains; or why it attains nothing, where it was named or fails."""
    try:
        found = _computed(make, problems, n, named)
    except Exception as error:  # a rule may be anybody's
        return _Attained(None, None, f"{type(error).__name__}: {error}")
    return found if named else found._replace(reason="")


def _computed(
    make: type[Rule], problems: dict[str, theory.Problem], n: int, named: bool
) -> _Attained:
    """What a rule attains, or why it attains nothing."""
    claims = make.claims
    absent = functools.partial(_Attained, None, None)
    if claims.searches and not named:
        return absent("it searches, and is run where it is named")
    scheme = next((scheme for scheme in problems if scheme in claims.drafting), None)
    if not claims.admits(n):
        return absent(f"takes n in {claims.n_range}, got n = {n}")
    if scheme is None:
        return absent(
            f"its proof covers {', '.join(sorted(claims.drafting))}, none of which drafts {n} "
            "tokens from one law"
        )
    problem = problems[scheme]
    small = len(problem.p) ** n <= theory.lp.PLAN_CELLS
    rule = None if claims.per_pair else make()
    stated = rule and rules.closed_form(rule, n, scheme)
    if not stated and not small:
        return absent(
            f"no closed form under {scheme}, and V^n = {len(problem.p)}^{n} is too large to "
            "enumerate"
        )
    if rule is None:
        optimal = theory.lp.solve(problem)
        return _Attained(optimal.value - optimal.gap, scheme)
    value = (
        float(rule_laws.expectations(stated, problem.p[None], problem.q[None])[0])
        if stated
        else rule_laws.acceptance(rule, problem)
    )
    return _Attained(value, scheme, bias=None if claims.lossless else _bias(rule, problem, small))


def _bias(rule: Rule, problem: theory.Problem, small: bool) -> tuple[float, float] | None:
    """TV and KL of the emitted law from p, as the rule states it, else by enumeration; None where
    that is too large.
    """
    p, n, scheme = problem.p, problem.n, problem.drafting
    stated = rules.emitted(rule, n, scheme)
    if stated:
        law = rule_laws.expectations(stated, p[None], problem.q[None])
    elif small:
        law = rule_laws.attained(rule, problem).emitted[None]
    else:
        return None
    tv = rule_laws.expectations(total_variation, law, p[None])
    kl = rule_laws.expectations(relative_entropy, law, p[None])
    return float(tv[0]), float(kl[0])
