"""The one-node goldens: values that were computed elsewhere, to 1e-6."""

import numpy as np
import pytest

from theory import Problem, closed_form, lp, subsets

FLIPPED = ([1 / 3, 2 / 3], [2 / 3, 1 / 3])
REVERSED = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])


def khisti(t: float) -> tuple[list[float], list[float]]:
    return [1 / 3, t, 2 / 3 - t], [1 / 3, 1 / 3, 1 / 3]


def missed(value: float, golden: float) -> bool:
    return abs(value - golden) > 1e-6


ACCEPTANCE = [
    (FLIPPED, 2, "naive_membership", 2 / 3),
    (FLIPPED, 2, "naive_first", 7 / 9),
    (FLIPPED, 2, "recursive_rejection", 7 / 9),
    (FLIPPED, 2, "kseq", 0.811420),
    (FLIPPED, 2, "kseq_rho", 1.434259),
    (FLIPPED, 3, "recursive_rejection", 0.851852),
    (FLIPPED, 3, "kseq", 0.896576),
    (FLIPPED, 3, "kseq_rho", 1.689729),
    (REVERSED, 2, "naive_membership", 0.483),
    (REVERSED, 2, "naive_first", 0.76),
    (REVERSED, 2, "recursive_rejection", 0.76),
    (REVERSED, 2, "kseq", 0.791355),
    (REVERSED, 2, "kseq_rho", 1.456776),
    (REVERSED, 3, "kseq", 0.858519),
    (REVERSED, 3, "kseq_rho", 1.792593),
    (khisti(0.0), 2, "kseq", 0.811420),
    (khisti(0.0), 2, "recursive_rejection", 0.777778),
    (khisti(0.1), 2, "kseq", 0.881441),
    (khisti(0.1), 2, "recursive_rejection", 0.844444),
]
OPTIMA = [
    (FLIPPED, 2, "iid", 8 / 9),
    (FLIPPED, 3, "iid", 1.0),
    (REVERSED, 2, "iid", 0.86),
    (REVERSED, 3, "iid", 0.988),
    (REVERSED, 2, "without_replacement", 0.985714),
    (REVERSED, 2, "greedy", 0.90),
    (REVERSED, 2, "hub", 0.90),
    (khisti(0.0), 2, "iid", 0.888889),
    (khisti(0.1), 2, "iid", 0.988889),
    (khisti(1 / 9), 2, "iid", 1.0),
    (khisti(0.3), 2, "iid", 1.0),
]


@pytest.mark.parametrize(("pair", "n", "rule", "golden"), ACCEPTANCE)
def test_acceptance(pair, n, rule, golden):
    value = getattr(closed_form, rule)(*pair, n, "iid")
    print(f"{rule} n={n}: {value:.9f}, golden {golden:.9f}")
    assert not missed(value, golden)
    assert missed(value + 2e-6, golden), "a value off by 2e-6 must be caught"


@pytest.mark.parametrize(("pair", "n", "scheme", "golden"), OPTIMA)
@pytest.mark.parametrize("solve", [lp.solve, subsets.optimum, subsets.brute_force])
def test_optimum(solve, pair, n, scheme, golden):
    value = solve(Problem(*pair, n, scheme)).value
    print(f"{scheme} n={n}: {value:.9f}, golden {golden:.9f}")
    assert not missed(value, golden)
    assert missed(value - 2e-6, golden), "a value off by 2e-6 must be caught"


@pytest.mark.parametrize("solve", [lp.solve, subsets.optimum, subsets.brute_force])
def test_subset_of_the_reversed_pair(solve):
    np.testing.assert_array_equal(solve(Problem(*REVERSED, 2, "iid")).subset, [False, True, True])
