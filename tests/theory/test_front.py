"""The front: the line under TV, one best law for every divergence, prices and budgets."""

import numpy as np
import pytest
from scipy.optimize import minimize

from theory import Problem, battery, front, lp, nearest, subsets

SCHEMES = [
    ("iid", 1),
    ("iid", 2),
    ("iid", 3),
    ("without_replacement", 2),
    ("without_replacement", 3),
    ("greedy", 2),
    ("greedy", 3),
    ("hub", 2),
    ("top_n", 2),
]
DIVERGENCES = {
    "KL": lambda e, p: np.sum(e * np.log(e / p)),
    "reverse KL": lambda e, p: -np.sum(p * np.log(e / p)),
    "chi2": lambda e, p: np.sum((e - p) ** 2 / p),
    "Hellinger": lambda e, p: np.sum((np.sqrt(e) - np.sqrt(p)) ** 2),
}


def pairs(vocabulary: int, every: int = 1):
    drawn = battery.drawn(vocabulary, 0)[::every]
    return [*battery.laws(vocabulary, 0), *drawn]


def problems(scheme: str, n: int, vocabulary: int = 4, every: int = 6):
    return [Problem(pair.p, pair.q, n, scheme) for pair in pairs(vocabulary, every)]


def per_set(law) -> np.ndarray:
    return subsets.over_subsets(1 << np.arange(len(law)), law, len(law))


@pytest.mark.parametrize(("scheme", "n"), [*SCHEMES, ("independent", 2)])
def test_the_front_under_tv_is_a_line(scheme, n):
    errors = []
    for problem in problems(scheme, n) if scheme != "independent" else independent():
        best = lp.solve(problem).value
        for tv in (0.0, 0.02, 0.1, 0.4):
            errors.append(abs(lp.within(problem, tv) - min(1.0, best + tv)))
    print(f"{scheme} n = {n}: {len(errors)} programs, largest error {max(errors):.1e}")
    assert max(errors) < 1e-9


def independent():
    rng = np.random.default_rng(0)
    return [
        Problem(rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4), 2), 2, "independent")
        for _ in range(12)
    ]


@pytest.mark.parametrize(("scheme", "n"), SCHEMES)
def test_hull_and_sets_agree_and_the_point_lies_on_the_line(scheme, n):
    apart, off, broken = [], [], []
    for problem in problems(scheme, n, vocabulary=5, every=4):
        hull, sets = front.front(problem), nearest.by_sets(problem)
        emitted = problem.p > 0
        apart.append(np.abs(hull.nearest - sets)[emitted].max())
        best, inside = subsets.brute_force(problem).value, subsets.inside(problem)
        for part in (0.0, 0.1, 0.5, 0.9, 1.0):
            point = hull.at_acceptance(best + part * (1 - best))
            off.append(abs(point.tv - (point.acceptance - best)))
            broken.append((inside - (1 - point.acceptance) - per_set(point.law)).max())
    print(f"sets {max(apart):.1e}, TV - (A - alpha*) {max(off):.1e}, broken {max(broken):.1e}")
    assert max(apart) < 1e-12
    assert max(off) < 1e-12
    assert max(broken) < 1e-12


def test_drafters_of_their_own_laws_go_through_all_sets():
    for problem in independent():
        best = lp.solve(problem).value
        point = front.front(problem).at_tv(0.1)
        law = Problem(point.law, problem.q, 2, "independent")
        assert point.acceptance == pytest.approx(min(1.0, best + 0.1), abs=1e-9)
        assert lp.solve(law).value == pytest.approx(point.acceptance, abs=1e-9)


@pytest.mark.parametrize(("scheme", "n"), [("iid", 1), ("iid", 2), ("without_replacement", 2)])
@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_no_solver_finds_a_nearer_law(scheme, n, name):
    divergence = DIVERGENCES[name]
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(6):
        p, q = rng.dirichlet(np.full(4, 2.0)), rng.dirichlet(np.full(4, 2.0))
        problem = Problem(p, q, n, scheme)
        edge = front.front(problem)
        best = subsets.brute_force(problem).value
        short = (1 - best) * rng.uniform(0.1, 0.9)
        limits = np.maximum(subsets.inside(problem) - short, 0.0)
        found = minimize(
            divergence,
            0.5 * edge.nearest + 0.5 * p,
            args=(p,),
            method="SLSQP",
            bounds=[(1e-9, 1.0)] * 4,
            constraints=[
                {"type": "eq", "fun": lambda e: e.sum() - 1},
                {"type": "ineq", "fun": lambda e, limits=limits: (per_set(e) - limits)[1:-1]},
            ],
            options={"ftol": 1e-14, "maxiter": 500},
        )
        kept = (per_set(found.x) - limits).min() > -1e-9
        mine = divergence(edge.at_acceptance(1 - short).law, p)
        gains.append(mine - found.fun if kept else -np.inf)
    print(f"{name}, {scheme} n = {n}: a solver gains {max(gains):.1e} at most")
    assert max(gains) < 1e-8


def test_a_band_of_another_law_is_farther_from_p():
    """Planted: the band of q in place of that of the nearest law, at two drafts."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    right = front.front(Problem(p, q, 2, "iid"))
    planted = front.Front(right.p, q)
    point = planted.at_acceptance(0.95)
    assert subsets.brute_force(Problem(point.law, q, 2, "iid")).value != pytest.approx(
        0.95, abs=1e-3
    )


def test_one_draft_is_a_band_of_the_draft_law():
    problem = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 1, "iid")
    point = front.front(problem).at_acceptance(0.8)
    assert point.law == pytest.approx(
        np.clip(problem.q, point.low * problem.p, point.high * problem.p)
    )
    assert point.high == pytest.approx(1.5)


@pytest.mark.parametrize(("scheme", "n"), SCHEMES)
def test_the_price_is_the_slope_of_kl(scheme, n):
    step, worst = 1e-4, 0.0
    for problem in problems(scheme, n, vocabulary=5, every=12):
        edge = front.front(problem)
        best = edge.at_price(0.0).acceptance
        never = edge.nearest[problem.p == 0].sum()
        for part in (0.3, 0.6):
            middle = best + part * (1 - never - best)
            if 1 - never - best < 0.05:
                continue
            slope = (
                edge.at_acceptance(middle + step).kl - edge.at_acceptance(middle - step).kl
            ) / (2 * step)
            worst = max(worst, abs(slope / edge.at_acceptance(middle).price - 1))
    print(f"{scheme} n = {n}: slope and price differ by {worst:.1e} of the price")
    assert worst < 1e-5


@pytest.mark.parametrize(("scheme", "n"), SCHEMES)
def test_budgets(scheme, n):
    for problem in problems(scheme, n, vocabulary=5, every=12):
        edge = front.front(problem)
        best = edge.at_price(0.0).acceptance
        point = edge.at_price(1.0)
        assert edge.at_acceptance(point.acceptance).law == pytest.approx(point.law, abs=1e-9)
        assert edge.at_tv(point.tv).law == pytest.approx(point.law, abs=1e-9)
        assert front.line(problem, point.tv) == pytest.approx(point.acceptance, abs=1e-12)
        assert edge.at_kl(point.kl).acceptance == pytest.approx(point.acceptance, abs=1e-6)
        assert front.kl_bound(problem, point.kl) >= point.acceptance - 1e-9
        if point.acceptance > best + 1e-9:
            assert front.ratio(problem, point.high) == pytest.approx(point.acceptance, abs=1e-12)


def test_the_best_allocation_holds_the_price_equal():
    """Over contexts, the same price accepts more than the same KL, TV or share at equal mean KL."""
    rng = np.random.default_rng(0)
    p = np.exp(3.0 * rng.normal(size=(40, 32)))
    q = p * np.exp(1.2 * rng.normal(size=p.shape))
    edges = [
        front.front(Problem(x / x.sum(), y / y.sum(), 2, "iid")) for x, y in zip(p, q, strict=True)
    ]
    priced = [edge.at_price(1.0) for edge in edges]
    budget = float(np.mean([point.kl for point in priced]))
    same = [edge.at_kl(budget) for edge in edges]
    accepted = [float(np.mean([point.acceptance for point in points])) for points in (priced, same)]
    print(f"mean KL {budget:.4f}: same price {accepted[0]:.4f}, same KL {accepted[1]:.4f}")
    assert accepted[0] > accepted[1]
    assert np.mean([point.kl for point in same]) <= budget + 1e-9
