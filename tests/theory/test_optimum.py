"""alpha* three ways: the linear program, the subset formula, all 2^V subsets; and the plan that
attains it.
"""

import numpy as np
import pytest

from tests.theory.test_drafting import lengths, problem
from theory import (
    Problem,
    _linear_program,
    battery,
    drafting,
    is_coupling,
    is_law,
    is_lossless,
    lp,
    subsets,
)
from theory.drafting import without_replacement
from theory.transport import feasible, merge


def solved() -> list[str]:
    return [name for name in drafting.names() if hasattr(drafting.get(name), "optimum")]


def cases(schemes):
    return [(scheme, n, v) for scheme in schemes for n in lengths(scheme) for v in (2, 6)]


def formula_error(scheme: str, n: int, v: int, solve) -> tuple[float, str]:
    pairs = [
        (problem(scheme, pair, n), pair.name) for seed in range(3) for pair in battery.laws(v, seed)
    ]
    return max(
        (abs(solve(case).value - subsets.brute_force(case).value), name) for case, name in pairs
    )


@pytest.mark.parametrize(
    ("scheme", "n", "v"), [*cases(solved()), ("without_replacement", 5, 7), ("iid", 5, 5)]
)
def test_formula_equals_all_subsets(scheme, n, v):
    error, name = formula_error(scheme, n, v, subsets.optimum)
    print(f"largest difference {error:.1e} on {name}")
    assert error < 1e-10, name


@pytest.mark.parametrize(("scheme", "n", "v"), cases(solved()))
def test_formula_names_a_subset_that_attains_it(scheme, n, v):
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        bound = subsets.optimum(case)
        joint = case.joint()
        inside = joint.mass @ bound.subset[joint.tokens].all(axis=1)
        assert abs(1 + case.p[bound.subset].sum() - inside - bound.value) < 1e-13, pair.name


@pytest.mark.parametrize(("scheme", "n", "v"), cases(drafting.names()))
def test_program_equals_all_subsets_and_its_gap_is_closed(scheme, n, v):
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        bound = lp.solve(case)
        assert abs(bound.value - subsets.brute_force(case).value) < 1e-9, pair.name
        assert -1e-14 < bound.gap < 1e-9, f"{pair.name}: gap {bound.gap:.1e}"
        assert bound.value <= 1 + 1e-15, pair.name


@pytest.mark.parametrize(("scheme", "n", "v"), cases(drafting.names()))
def test_plan_is_a_lossless_rule_that_reaches_the_optimum(scheme, n, v):
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        plan = lp.plan(case)
        joint = case.joint()
        live = joint.tokens.shape[1]
        laws = plan[tuple(joint.tokens.T) + (v - 1,) * (n - live)]
        assert plan.shape == (v,) * (n + 1), pair.name
        assert is_law(plan, 1e-12), pair.name
        assert is_lossless(laws, joint.mass, case.p, 1e-12), pair.name
        coupling = laws * joint.mass[:, None]
        assert is_coupling(coupling, joint.mass, case.p, 1e-12), pair.name
        accepted = sum(
            coupling[row, list(set(x))].sum() for row, x in enumerate(joint.tokens.tolist())
        )
        assert abs(accepted - subsets.brute_force(case).value) < 1e-9, pair.name


def test_plan_emits_p_for_drafts_that_never_come():
    case = Problem([0.5, 0.3, 0.2], [0.6, 0.4, 0.0], 2, "iid")
    np.testing.assert_array_equal(lp.plan(case)[2, 0], case.p)


def test_plan_ignores_masked_slots():
    plan = lp.plan(Problem([0.5, 0.3, 0.2], [0.6, 0.4, 0.0], 3, "without_replacement"))
    assert np.ptp(plan, axis=2).max() == 0.0
    assert np.ptp(plan, axis=1).max() > 0.0


@pytest.mark.parametrize("planted", [0.0, 1e-10])
def test_a_biased_plan_is_caught(planted):
    case = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid")
    joint = case.joint()
    laws = lp.solve(case).coupling.laws()
    laws[0] += planted * np.array([1, -1, 0]) / joint.mass[0]
    assert bool(is_lossless(laws, joint.mass, case.p, 1e-12)) == (planted == 0.0)


def test_a_wrong_order_of_the_prefixes_is_caught(monkeypatch):
    monkeypatch.setattr(drafting.get("iid"), "ratio_order", lambda p, q: np.argsort(-p))
    assert formula_error("iid", 2, 6, subsets.optimum)[0] > 1e-3


def test_a_coarse_race_integral_is_caught(monkeypatch):
    monkeypatch.setattr(without_replacement, "STEP", 1.5)
    error, _ = formula_error("without_replacement", 3, 6, subsets.optimum)
    print(f"step 1.5 is off by {error:.1e}")
    assert error > 1e-10


def test_solver_failure_is_an_error(monkeypatch):
    class Failed:
        status, message = 4, "numerical difficulties"

    monkeypatch.setattr(_linear_program, "linprog", lambda *_, **__: Failed())
    with pytest.raises(RuntimeError, match="status 4: numerical difficulties"):
        lp.solve(Problem([0.5, 0.5], [0.5, 0.5], 2, "iid"))


def test_loose_flow_is_made_feasible():
    """A flow that exceeds its limits by far more than any tolerance still yields a lossless
    rule.
    """
    rng = np.random.default_rng(0)
    case = Problem(rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5)), 3, "iid")
    joint = case.joint()
    sets = merge(joint)
    laws = feasible(rng.normal(0.02, 0.02, sets.members.shape), sets, case.p).laws()
    assert is_lossless(laws, joint.mass, case.p, 1e-12)


@pytest.mark.parametrize("scheme", solved())
def test_more_drafts_never_hurt(scheme):
    for pair in battery.laws(5, seed=0):
        values = [subsets.optimum(problem(scheme, pair, n)).value for n in lengths(scheme)]
        assert (np.diff(values) > -1e-12).all(), pair.name
