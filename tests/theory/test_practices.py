"""The emitted laws of practices and the trade-offs, against enumeration and draws."""

import numpy as np
import pytest

from theory import battery, closed_form, practices, trade_offs

PAIRS = battery.laws(5, 3)
DRAWS, FAULT = 2**19, 0.005  # seven standard errors of a frequency, or more


def by_pair(function):
    return pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)(function)


def residual(p, q):
    rest = np.maximum(p - q, 0.0)
    return rest / rest.sum() if rest.sum() > 0 else np.zeros_like(p)


def accepting(p, q):
    return np.divide(np.minimum(p, q), q, out=np.ones_like(q), where=q > 0)


def of_laws(emission, total=1.0):
    assert emission.law.min() >= -1e-15
    assert emission.law.sum() == pytest.approx(total)
    assert -1e-12 <= emission.honest <= emission.law.ndim


@by_pair
def test_one_uniform_is_the_length_of_what_is_shared(pair):
    _, p, q = pair
    ends = np.append(0.0, np.cumsum(residual(p, q)))
    law = np.minimum(p, q)
    for x, accept in enumerate(accepting(p, q)):
        # the part of each interval of the residual that lies above accept
        shared = np.diff(np.maximum(ends, accept))
        law += q[x] * shared
    got = practices.one_uniform_for_test_and_residual(p, q)
    of_laws(got)
    np.testing.assert_allclose(got.law, law, atol=1e-12)


@by_pair
def test_one_coin_is_the_sum_over_both_siblings(pair):
    _, p, q = pair
    first = accepting(p, q)
    rest = residual(p, q)
    second = accepting(rest, q)
    last = residual(rest, q)
    law = np.zeros_like(p)
    for x, y in np.ndindex(len(p), len(p)):
        law[x] += q[x] * q[y] * first[x]
        law[y] += q[x] * q[y] * max(second[y] - first[x], 0.0)
        law += q[x] * q[y] * (1.0 - max(second[y], first[x])) * last
    got = practices.one_coin_for_two_siblings(p, q)
    of_laws(got)
    np.testing.assert_allclose(got.law, law, atol=1e-12)


@by_pair
def test_a_one_hot_residual_is_the_sum_over_drafts(pair):
    _, p, q = pair
    law = np.minimum(p, q)
    for x in range(len(p)):
        alone = np.where(np.arange(len(p)) == x, q, 0.0)
        law += max(q[x] - p[x], 0.0) * residual(p, alone)
    got = practices.one_hot_residual_after_real_test(p, q)
    of_laws(got)
    np.testing.assert_allclose(got.law, law, atol=1e-12)


@by_pair
def test_the_noise_of_the_draft_is_drawn_again(pair):
    _, p, q = pair
    got = practices.draft_noise_for_the_residual(p, q)
    of_laws(got)
    rng = np.random.default_rng(len(pair.name))
    noise = rng.exponential(size=(DRAWS, len(p)))
    with np.errstate(divide="ignore"):
        draft = np.argmin(noise / q, 1)
        again = np.argmin(noise / np.maximum(p - q, 0.0), 1)
    accepted = rng.random(DRAWS) < accepting(p, q)[draft]
    drawn = np.bincount(np.where(accepted, draft, again), minlength=len(p)) / DRAWS
    assert np.abs(drawn - got.law).max() < FAULT


@by_pair
def test_dropping_is_free_before_the_draw_and_counts_the_same_after_it(pair):
    _, p, q = pair
    before = practices.dropped_before_the_draw(p, q, 0.3)
    after = practices.dropped_after_the_draw(p, q, 0.3)
    of_laws(after)
    assert before.tv < 1e-12
    assert after.counted == after.honest
    assert practices.dropped_after_the_draw(p, q, 0.0).tv < 1e-12


@by_pair
def test_a_fixed_draft_is_one_token(pair):
    _, p, q = pair
    got = practices.real_law_on_fixed_draft(p, q)
    of_laws(got)
    one_hot = np.where(np.arange(len(q)) == np.argmax(q), 1.0, 0.0)
    assert practices.real_law_on_fixed_draft(p, one_hot).tv < 1e-12
    assert got.counted >= got.honest - 1e-15


@by_pair
def test_equality_moves_a_law_by_a_step_at_most(pair):
    _, p, q = pair
    got = practices.equality_accepts(p, q)
    of_laws(got)
    assert got.tv <= 2.0**-23


@by_pair
def test_the_uncapped_ratio_accepts_more(pair):
    _, p, q = pair
    got = practices.uncapped_last_position(p, q)
    of_laws(got)
    assert got.counted >= got.honest - 1e-12


def test_the_order_of_temperature_and_nucleus_matters_between():
    p = np.array([0.4, 0.3, 0.2, 0.1])
    assert practices.nucleus_before_temperature(p, 0.5, 1.0).tv < 1e-12
    assert practices.nucleus_before_temperature(p, 1.0, 0.92).tv < 1e-12
    assert practices.bonus_from_raw_softmax(p, 1.0, 1.0).tv < 1e-12


@by_pair
def test_an_ensemble_shares_the_distance_out(pair):
    _, p, q = pair
    distance = closed_form.total_variation(p, q)
    got = trade_offs.ensemble(p, q, 0.3)
    assert got == pytest.approx((0.3 * distance, 0.7 * distance), abs=1e-12)


def test_a_floor_is_no_higher_than_any_law_reaches():
    rng = np.random.default_rng(0)
    laws, weights = rng.dirichlet(np.ones(4), 6), rng.dirichlet(np.ones(6))
    tried = np.concatenate([laws, rng.dirichlet(np.ones(4), 500)])
    distances = np.abs(laws[None] - tried[:, None]).sum(2) / 2 @ weights
    least = trade_offs.floor(laws, weights)
    assert least <= distances.min() + 1e-9
    two = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert trade_offs.floor(two, np.array([0.7, 0.3])) == pytest.approx(0.3)
