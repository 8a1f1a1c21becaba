"""The ladder of two laws: every optimum computed twice, and small vocabularies enumerated where a rule has no closed form."""

import os
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

import theory
from experiments import _exact, _laws, _schemes
from experiments._console import track
from experiments._ladder import Ladder, Study, closed_form
from specjax import bounds, rules
from specjax.rules import Rule

CHECKED = 4096  # up to this V theory computes every optimum again
AGREEMENT = 1e-9  # between specjax.bounds in float64 and theory


def study(p: _laws.Law, q: _laws.Law, ns: tuple[int, ...], names: tuple[str, ...]) -> Study:
    """Every ladder of one pair.

    Raises:
      ValueError: a named rule has no value at some n.
      RuntimeError: theory disagrees with `specjax.bounds`.
    """
    entropy = -np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p)))
    first_try = _exact.expectations(bounds.first_try, p[None], q[None])
    return Study(len(p), first_try, np.array([entropy]), tuple(_ladder(p, q, n, names) for n in ns))


def _ladder(p: _laws.Law, q: _laws.Law, n: int, names: tuple[str, ...]) -> Ladder:
    problems = {scheme: theory.Problem(p, q, n, scheme) for scheme in _schemes.from_one_law() if _exact.drafts(scheme, n)}
    chosen: list[type[Rule]] = [rules.get(name) for name in names or rules.names()]
    singleton = _exact.expectations(lambda p, q: bounds.singleton(p, q, n), p[None], q[None])
    lossless = frozenset(make.name for make in chosen if make.claims.lossless)
    ladder = Ladder(n, singleton, {}, {}, {}, {}, lossless)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time goes into compiling, on one core each
        optima = {scheme: pool.submit(_optimum, problem) for scheme, problem in problems.items()}
        attained = {make: pool.submit(_value, make, problems, n) for make in chosen}
        for scheme in _schemes.from_one_law():
            value, ladder.subset_size[scheme] = optima[scheme].result() if scheme in optima else (None, None)
            ladder.alpha_star[scheme] = None if value is None else np.array([value])
        for make in track(chosen, f"n = {n}"):
            value, ladder.under[make.name], reason = attained[make].result()
            if names and value is None:
                raise ValueError(f"rule {make.name}: {reason}")
            ladder.acceptance[make.name] = None if value is None else np.array([value])
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
    stated = rule and closed_form(rule, n, scheme, len(problem.p))
    if stated:
        return float(_exact.expectations(stated, problem.p[None], problem.q[None])[0]), scheme, ""
    if len(problem.p) ** n > theory.lp.PLAN_CELLS:
        return None, None, f"no closed form under {scheme}, and V^n = {len(problem.p)}^{n} is too large to enumerate"
    if rule is None:
        optimal = theory.lp.solve(problem)
        return optimal.value - optimal.gap, scheme, ""
    return _exact.acceptance(rule, problem), scheme, ""
