"""The front as a table: its points are those that roots find, and contexts share a budget best at
one price.
"""

import dataclasses

import numpy as np
import pytest

from theory import Problem, battery, curve, front, spending

PRICES = (0.0, 0.01, 0.3, 1.0, 3.0, 10.0, 50.0, 800.0)
BUDGETS = (0.001, 0.01, 0.1, 0.5)
EXACT = 1e-12  # of probabilities
NEAR = 1e-10  # of what roots find


def problems(n, seed):
    """The battery, and laws of forty tokens."""
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet(np.full(40, 0.3), 2) for _ in range(6)]
    for p, q in [(p, q) for _, p, q in battery.laws(6, seed)] + drawn:
        yield Problem(p, q, n, "iid")


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_points_are_those_of_the_roots(n, seed):
    for problem in problems(n, seed):
        by_roots, by_table = front.front(problem), curve.curve(problem)
        assert by_table.alpha_star == pytest.approx(by_roots.alpha_star, abs=EXACT)
        for price in PRICES:
            point, rejected = by_roots.at_price(price), by_table.at_price(price)
            assert 1 - rejected == pytest.approx(point.acceptance, abs=NEAR)
            assert by_table.kl(rejected) == pytest.approx(point.kl, abs=NEAR)
        assert by_table.at_kl(0.0) == by_table.at_tv(0.0) == by_table.at_price(0.0)
        for budget in BUDGETS:
            found = by_roots.at_kl(budget).acceptance
            assert 1 - by_table.at_kl(budget) == pytest.approx(found, abs=NEAR)
            reach = min(by_table.alpha_star + budget, 1 - by_table.least)
            assert 1 - by_table.at_tv(budget) == pytest.approx(reach, abs=EXACT)


def test_the_front_ends_where_p_has_no_token():
    found = curve.curve(Problem([0.6, 0.4, 0.0], [0.3, 0.3, 0.4], 1, "iid"))
    assert found.least == pytest.approx(0.4)
    assert np.isinf(found.kl(0.39))
    assert np.isfinite(found.kl(0.4))
    assert np.isnan(found.kl(np.nan))


@pytest.mark.parametrize("n", [1, 2])
def test_one_price_accepts_most_at_its_mean_kl(n, seed):
    curves = [curve.curve(problem) for problem in problems(n, seed)]
    for budget in (0.005, 0.02, 0.1):
        spent = spending.same_kl(curves, budget)
        mean = spending.kl(curves, spent).mean()
        priced = spending.same_price(curves, spending.price_of_kl(curves, mean))
        shared = spending.same_tv(curves, spending.tv_of_kl(curves, mean))
        for rejected in (priced, shared):
            assert spending.kl(curves, rejected).mean() == pytest.approx(mean, abs=NEAR)
            assert priced.mean() <= rejected.mean() + NEAR
        assert priced.mean() < spent.mean() - 1e-5


def test_planted_a_level_that_is_off_is_seen(seed):
    """A table whose upper level is a hundredth too high has another KL."""
    problem = next(problems(2, seed))
    found = curve.curve(problem)
    wrong = dataclasses.replace(found, high=1.01 * found.high)
    point = front.front(problem).at_price(0.3)
    assert abs(wrong.kl(1 - point.acceptance) - point.kl) > 1e-6


def test_a_price_halves_the_rejections(seed):
    curves = [curve.curve(problem) for problem in problems(1, seed)]
    reach = np.mean([found.least for found in curves])
    most = np.mean([1 - found.alpha_star for found in curves])
    half = (reach + most) / 2
    price = spending.price_of_rejections(curves, half)
    assert spending.same_price(curves, price).mean() == pytest.approx(half, abs=NEAR)
    assert spending.price_of_rejections(curves, reach / 2) == pytest.approx(spending.DEAREST)
