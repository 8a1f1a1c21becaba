"""The public validators see planted errors, measure them, and say what is wrong in words."""

import re

import numpy as np
import pytest

from theory import Problem, battery, is_coupling, is_law, is_lossless, lp


@pytest.mark.parametrize(
    ("law", "error", "reason"),
    [
        ([0.5, 0.499], 1e-3, "the law sums to 0.999, expected 1"),
        ([1.1, -0.1], 0.1, r"negative entry -0.1 at \(1,\)"),
        ([[0.5, 0.5], [0.7, 0.4]], 0.1, "row 1 sums to 1.1"),
        ([0.5, np.nan], np.inf, "finite"),
        ([np.inf, 0.5], np.inf, "finite"),
        ([], np.inf, "at least one token"),
    ],
)
def test_what_is_not_a_law_is_caught(law, error, reason):
    check = is_law(law, 1e-9)
    assert not check
    assert check.error == pytest.approx(error)
    assert re.search(reason, check.reason), check.reason


def test_tolerance_decides():
    assert is_law([0.5, 0.4999], 1e-3)
    assert not is_law([0.5, 0.4999], 1e-5)


def test_the_battery_holds_laws():
    for v in (2, 3, 7, 200):
        for pair in battery.laws(v, seed=0):
            assert is_law(np.stack([pair.p, pair.q]), 1e-12), pair.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (np.array([[0.0, 0.0], [0.0, 0.0]]), ""),
        (np.array([[0.2, -0.2], [-0.2, 0.2]]), "negative entry -0.1 at"),
        (np.array([[0.1, 0.0], [0.0, 0.0]]), r"sums to 0.\d, expected 0.[57]"),
        (np.array([[0.01, -0.01], [0.0, 0.0]]), r"column 0 sums to 0.71, expected 0.7"),
        (np.array([[0.01, 0.0], [-0.01, 0.0]]), r"row . sums to 0.\d+, expected 0.5"),
    ],
)
def test_what_is_not_a_coupling_is_caught(change, reason):
    coupling = np.array([[0.4, 0.1], [0.3, 0.2]])
    check = is_coupling(coupling + change, [0.5, 0.5], [0.7, 0.3])
    assert bool(check) == (reason == "")
    assert re.search(reason, check.reason), check.reason


def test_shapes_that_disagree_are_caught():
    assert (
        "expected (3, 2)" in is_coupling(np.ones((2, 2)) / 4, np.ones(3) / 3, np.ones(2) / 2).reason
    )
    assert (
        "expected (3, 2)" in is_lossless(np.ones((2, 2)) / 2, np.ones(3) / 3, np.ones(2) / 2).reason
    )


def test_a_biased_rule_is_caught_with_its_size():
    case = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid")
    joint = case.joint()
    laws = lp.solve(case).coupling.laws()
    assert is_lossless(laws, joint.mass, case.p, 1e-12)
    check = is_lossless(0.9 * laws + 0.1 * np.eye(3)[2], joint.mass, case.p)
    assert not check
    assert check.error == pytest.approx(0.08)
    assert "total variation 0.08 from p, worst at token 2 (+0.08)" in check.reason


def test_a_rule_that_is_no_law_is_named_before_its_bias():
    p = [0.5, 0.3, 0.2]
    laws = np.array([[1.2, -0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert (
        "the rule's law is not a law: the law has the negative entry -0.2 at (0, 1)"
        in is_lossless(laws, p, p).reason
    )
    assert "Q is not a law" in is_lossless(np.eye(3), [0.5, 0.3, 0.1], p).reason
