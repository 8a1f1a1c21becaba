"""Logits become distributions: each step, every order of them, and the limits of float32."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from specjax.numerics import Sampling
from specjax.numerics.sampling import ORDER

LOGITS = jnp.log(jnp.array([0.4, 0.3, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("sampling", "law"),
    [
        (Sampling(), [0.4, 0.3, 0.2, 0.1]),
        (Sampling(temperature=0), [1, 0, 0, 0]),
        (Sampling(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (Sampling(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (Sampling(top_k=9), [0.4, 0.3, 0.2, 0.1]),
        (Sampling(top_p=0.65), [4 / 7, 3 / 7, 0, 0]),
        (Sampling(top_p=0.39), [1, 0, 0, 0]),
        (Sampling(top_p=0.75), [4 / 9, 3 / 9, 2 / 9, 0]),
        (Sampling(min_p=0.45), [4 / 9, 3 / 9, 2 / 9, 0]),
    ],
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sampling(sampling, law, dtype):
    got = sampling.law(LOGITS.astype(dtype))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, law, atol=1e-6 if dtype == jnp.float32 else 1e-2)


INF = float("inf")
LIMITS = [
    ([3, 1, 0.5, -INF], 1e-12, [1, 0, 0, 0]),
    ([30, 29, -5, -5], 1e-45, [1, 0, 0, 0]),
    ([-70, -71, -71, -INF], 1e-38, [1, 0, 0, 0]),
    ([1e30, -1e30, 1e30, 0], 1e-10, [0.5, 0, 0.5, 0]),
    ([1e30, -1e30, 1e30, 0], 1, [0.5, 0, 0.5, 0]),
    ([1e30, 0, 0, -INF], 1e30, [1 / (1 + 2 / np.e), 1 / (np.e + 2), 1 / (np.e + 2), 0]),
    ([3, 1, 0.5, -INF], 1e30, [1 / 3, 1 / 3, 1 / 3, 0]),
    ([3, 1, 0.5, -INF], 1e300, [1 / 3, 1 / 3, 1 / 3, 0]),
    ([INF, 1, INF, -INF], 0.7, [0.5, 0, 0.5, 0]),
]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize(("logits", "temperature", "law"), LIMITS)
def test_at_extreme_temperatures_and_logits_the_law_is_that_of_the_limit(
    logits, temperature, law, x64
):
    rows = jnp.array([logits, logits], jnp.float32)
    for cut in ({}, {"top_k": 3}, {"top_p": 0.9999}, {"min_p": 1e-3}):
        with jax.enable_x64(x64):
            got = np.asarray(jax.jit(Sampling(temperature, **cut).law)(rows))
        np.testing.assert_allclose(got, [law, law], atol=1e-6)


@pytest.mark.parametrize("temperature", [0, 1e-30, 1, 1e30])
@pytest.mark.parametrize("cut", [{}, {"top_k": 1}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_a_row_that_is_no_law_is_nan_and_no_other(temperature, cut):
    rows = jnp.array([[0.0, 1.0, 2.0], [0.0, np.nan, 9.0], [-INF] * 3, [INF, -INF, -INF]])
    got = np.isnan(np.asarray(jax.jit(Sampling(temperature, **cut).law)(rows)))
    np.testing.assert_array_equal(got, [[False] * 3, *[[True] * 3] * 3])


def test_ties_at_the_edge_are_all_kept():
    logits = jnp.log(jnp.array([0.4, 0.2, 0.2, 0.2]))
    for sampling in (Sampling(top_k=2), Sampling(top_p=0.5)):
        assert int(jnp.sum(sampling.law(logits) > 0)) == 4


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -1},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 2},
    ],
)
def test_sampling_out_of_range(setting):
    with pytest.raises(ValueError, match="expected temperature"):
        Sampling(**setting)


@pytest.mark.parametrize("order", [ORDER[:3], (*ORDER, "top_k"), (*ORDER[:3], "top_k")])
def test_an_order_has_each_step_once(order):
    with pytest.raises(ValueError, match="order: expected temperature, top_k, top_p, min_p"):
        Sampling(order=order)


ORDERS = list(itertools.permutations(ORDER))


def stated(sampling):
    """The steps as the referee takes them."""
    return [(step, getattr(sampling, step)) for step in sampling.order]


def settings(rng, vocabulary):
    """Settings at which every step drops tokens, in whichever place it is."""
    few = max(vocabulary // 50, 3)
    return {
        "temperature": float(rng.uniform(0.5, 2)),
        "top_k": int(rng.integers(few, 2 * few)),
        "top_p": float(rng.uniform(0.6, 0.95)),
        "min_p": float(rng.uniform(0.01, 0.3)),
    }


def rows_of_logits(rng, vocabulary, count=4):
    """Random logits; in every other row there are many ties; some tokens are masked."""
    logits = 2 * rng.standard_normal((count, vocabulary))
    logits[::2] = np.round(2 * logits[::2]) / 2
    masked = rng.random(logits.shape) < 0.2
    masked[:, 0] = False
    return np.where(masked, -INF, logits).astype(np.float32)


@pytest.mark.parametrize("vocabulary", [7, 50_000])
@pytest.mark.parametrize("x64", [False, True])
def test_every_order_of_the_steps_is_that_of_the_referee(vocabulary, x64, seed):
    rng = np.random.default_rng(seed)
    logits = rows_of_logits(rng, vocabulary)
    worst = 0.0
    for order in ORDERS:
        sampling = Sampling(**settings(rng, vocabulary), order=order)
        law = [theory.sampling.law(row, stated(sampling)) for row in logits]
        with jax.enable_x64(x64):
            got = np.asarray(sampling.law(jnp.asarray(logits, float if x64 else np.float32)))
        assert (got[logits == -INF] == 0).all()
        worst = max(worst, np.abs(got - law).sum(-1).max() / 2)
    print(f"total variation at most {worst:.1e}")
    assert worst < (1e-12 if x64 else 1e-6)


@pytest.mark.parametrize(("temperature", "variation"), [(0.5, 0.0333), (0.7, 0.0635), (1.0, 0.0)])
def test_a_temperature_after_the_cuts_is_another_law(temperature, variation):
    """One server takes top-k, top-p and then temperature to verify, and temperature first to draw:
    the two laws are this far apart.
    """
    setting = {"temperature": temperature, "top_k": 4, "top_p": 0.92}
    last = Sampling(**setting, order=("top_k", "top_p", "temperature", "min_p"))
    difference = np.asarray(Sampling(**setting).law(LOGITS) - last.law(LOGITS))
    found = np.abs(difference).sum() / 2
    print(f"{found:.4f}")
    assert abs(found - variation) < 5e-5


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_maximum_is_all_that_greedy_decoding_keeps(order):
    sampling = Sampling(0, top_k=2, top_p=0.5, min_p=0.1, order=order)
    np.testing.assert_array_equal(sampling.law(jnp.array([0.0, 2.0, 2.0, -INF])), [0, 1, 0, 0])


def test_a_step_that_does_nothing_costs_nothing():
    logits = jnp.zeros(9)
    idle = str(jax.jit(Sampling(0.7, top_k=9).law).trace(logits).jaxpr)
    busy = str(jax.jit(Sampling(0.7, top_k=3, top_p=0.9).law).trace(logits).jaxpr)
    assert {word for word in ("sort", "top_k") if word in busy} == {"sort", "top_k"}
    assert {word for word in ("sort", "top_k") if word in idle} == set()


@pytest.mark.parametrize("order", ORDERS)
def test_a_token_that_was_dropped_stays_out_when_a_temperature_follows(order):
    """float32 holds no probability below 1e-38: such a token is in no nucleus."""
    sampling = Sampling(1e30, top_p=1 - 1e-9, order=order)
    law = np.asarray(sampling.law(jnp.array([0.0, -1.0, -200.0, -INF])))
    first = order.index("top_p") < order.index("temperature")
    np.testing.assert_allclose(law, [0.5, 0.5, 0, 0] if first else [1 / 3] * 3 + [0], atol=1e-6)
