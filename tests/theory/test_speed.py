"""Leviathan's Table 1, and speed on a measured cost curve."""

import numpy as np
import pytest

from theory import speed

TABLE = [
    (0.6, 2, 1.96),
    (0.7, 3, 2.53),
    (0.8, 2, 2.44),
    (0.8, 5, 3.69),
    (0.9, 2, 2.71),
    (0.9, 10, 6.86),
]


@pytest.mark.parametrize(("alpha", "length", "printed"), TABLE)
def test_table_one(alpha, length, printed):
    value = speed.speedup(alpha, length, draft_cost=0.0)
    print(f"{value:.4f}, printed {printed}")
    assert abs(value - printed) < 0.005
    assert abs(speed.speedup(alpha, length - 1, draft_cost=0.0) - printed) > 0.005, (
        "the bonus token left out must be caught"
    )


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.999999])
def test_the_sum_is_the_closed_form(alpha):
    assert speed.expected_tokens(alpha, 7) == pytest.approx((1 - alpha**8) / (1 - alpha), rel=1e-9)


def test_certain_acceptance_emits_everything():
    assert speed.expected_tokens(1.0, 7) == 8.0
    assert speed.speedup(1.0, 7, draft_cost=0.1) == pytest.approx(8 / 1.7)


def test_simulated_tokens_agree():
    accepted = np.random.default_rng(0).random((200_000, 4)) < 0.7
    emitted = 1 + np.cumprod(accepted, axis=1).sum(axis=1)
    error = 4 * emitted.std() / np.sqrt(len(emitted))
    assert abs(emitted.mean() - speed.expected_tokens(0.7, 4)) < error


def test_a_measured_curve_costs_speed():
    curve = speed.cost_curve([2, 4, 8], [1.2, 1.29, 1.58])
    assert (curve(1), curve(2), curve(8)) == (1.0, 1.2, 1.58)
    assert curve(3) == pytest.approx(1.245)
    assert speed.speedup(0.8, 3, 0.05, curve) == pytest.approx(
        speed.expected_tokens(0.8, 3) / (0.15 + 1.29)
    )
    assert speed.speedup(0.8, 3, 0.05, curve) < speed.speedup(0.8, 3, 0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: speed.expected_tokens(1.2, 3), "alpha: expected a probability, got 1.2"),
        (lambda: speed.expected_tokens(0.5, -1), "length: expected at least 0, got -1"),
        (lambda: speed.speedup(0.5, 2, -0.1), "draft_cost: expected at least 0, got -0.1"),
        (lambda: speed.cost_curve([2, 4], [1.2]), "costs: expected one per entry of tokens"),
        (
            lambda: speed.cost_curve([4, 2], [1.2, 1.3]),
            "tokens: expected ascending numbers above 1",
        ),
        (
            lambda: speed.cost_curve([2, 4], [1.2, 1.3])(5),
            "count: expected between 1 and the last measured point 4, got 5",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_acceptance_by_depth_is_the_flat_one_where_it_is_flat():
    for alpha in (0.0, 0.3, 1.0):
        for length in (0, 1, 5):
            assert speed.tokens_by_depth([alpha] * length) == pytest.approx(
                speed.expected_tokens(alpha, length), abs=1e-12
            )
    assert speed.tokens_by_depth([0.9, 0.1]) > speed.tokens_by_depth([0.1, 0.9]), "depth counts"
    with pytest.raises(ValueError, match="alphas: expected probabilities"):
        speed.tokens_by_depth([0.5, 1.1])


def test_a_step_has_a_draft_forward_for_each_level_of_drafts():
    """Counted by hand: a draft of cost 1 a forward, whatever it scores; a target that is free."""
    for widths in ((1,), (1, 3), (1, 1, 1, 1, 1), (1, 2, 4)):
        forwards = speed.step(lambda count: 0.0, lambda count: 1.0, widths, sum(widths))
        assert forwards == len(widths) - 1
    assert speed.step(float, lambda count: 0.0, (1, 8, 8), 9) == 9, "nodes that were dropped"
