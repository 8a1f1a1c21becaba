"""Draws, residuals and logit transforms, at the edges where they break."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stats import assert_drawn_from, distance

import theory
from specjax import numerics, rules
from specjax.numerics import Sampling

TOP = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest uniform


def laws(size):
    return [(pair.name, np.float32(law)) for pair in theory.battery.laws(size, seed=0) for law in (pair.p, pair.q)]


@pytest.mark.parametrize("size", [2, 5, 37])
def test_draw_inverts_the_distribution_function(size):
    uniforms = np.concatenate([[0, TOP], np.linspace(0, TOP, 500)]).astype(np.float32)
    draw = jax.jit(jax.vmap(numerics.draw, (None, 0)))
    for name, law in laws(size):
        tokens = np.asarray(draw(law, uniforms))
        positive = np.flatnonzero(law)
        assert np.all(law[tokens] > 0), f"{name}: a token of mass zero"
        assert tokens[0] == positive[0], f"{name}: u = 0 selects the first token of positive mass"
        assert np.all(np.diff(tokens[2:]) >= 0), f"{name}: monotone in u"
        sums = np.cumsum(law.astype(np.float64))
        slack = size * 2.0**-22
        for u, token in zip(uniforms, tokens, strict=True):
            assert sums[token] - law[token] - slack <= u * sums[-1] <= sums[token] + slack, f"{name}: u = {u}"


def test_draw_at_a_large_vocabulary():
    law = np.zeros(131072, np.float32)
    law[[5, 70_000, 131_000]] = 0.25, 0.5, 0.25
    tokens = jax.jit(jax.vmap(numerics.draw, (None, 0)))(law, np.float32([0, 0.24, 0.26, 0.74, 0.76, TOP]))
    assert tokens.tolist() == [5, 5, 70_000, 70_000, 131_000, 131_000]


def test_a_draw_that_lets_zero_pass_is_caught():
    """`sums >= target` selects a token of mass zero at u = 0."""
    law = jnp.array([0.0, 0.5, 0.5])
    careless = jnp.argmax(jnp.cumsum(law) >= 0.0 * law.sum())
    assert law[careless] == 0
    assert law[numerics.draw(law, jnp.float32(0))] > 0


def test_accept_with_u_zero_needs_a_strict_comparison():
    """With u = 0 forced `u * q <= p` accepts a token of p = 0; a draw from the rule's law does not."""
    p, q, u = jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5]), jnp.float32(0)
    assert u * q[0] <= p[0]
    assert not u * q[0] < p[0]
    law = rules.get("single")().law(jnp.array([0]), p, q, jnp.ones(1, bool))
    assert numerics.draw(law, u) == 1


@pytest.mark.key_reuse
def test_draws_have_the_law(key):
    law = np.float32(theory.battery.laws(37, seed=0)[1].p)
    uniforms = jax.random.uniform(key, (200_000,))
    assert_drawn_from(jax.jit(jax.vmap(numerics.draw, (None, 0)))(law, uniforms), law)


@pytest.mark.key_reuse
def test_gumbel_top_n_draws_without_replacement(key):
    q = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    draw = jax.jit(jax.vmap(lambda key: numerics.gumbel_top_n(key, jnp.log(jnp.float32(q)), 2)))
    tokens, values = draw(jax.random.split(key, 100_000))
    joint = theory.Problem(np.full(5, 0.2), q, 2, "without_replacement").joint()
    law = np.zeros(25)
    law[joint.tokens @ [5, 1]] = joint.mass
    assert_drawn_from(tokens @ jnp.array([5, 1]), law)
    assert bool(jnp.all(values[:, 0] >= values[:, 1]))


def tail_share(key, noise) -> tuple[float, float]:
    """Share of single drafts in a tail of 16384 tokens that holds half of q, and its allowance around one half."""
    logits = jnp.log(jnp.append(jnp.full(16384, 0.5 / 16384), 0.5))
    drawn = jax.jit(jax.vmap(lambda key: noise(key, logits)))(jax.random.split(key, 2_000))
    return distance(drawn < 16384, [0.5, 0.5])


@pytest.mark.key_reuse
def test_the_tail_is_drafted(key):
    error, allowed = tail_share(key, lambda key, logits: numerics.gumbel_top_n(key, logits, 1)[0][0])
    assert error <= allowed


def test_capped_noise_is_caught(key):
    """Noise in 16 bits ends near 7: it never drafts the tokens of 3e-5 that the verifier credits."""
    error, allowed = tail_share(key, lambda key, logits: jnp.argmax(logits + jax.random.gumbel(key, logits.shape, jnp.float16)))
    assert error > allowed


def test_residual_is_total():
    for pair in theory.battery.laws(5, seed=0):
        rest = np.asarray(numerics.residual(jnp.float32(pair.p), jnp.float32(pair.q)))
        assert theory.is_law(rest, 1e-6), pair.name
    np.testing.assert_array_equal(numerics.residual(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5])), [0.5, 0.5])


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


def test_ties_at_the_edge_are_all_kept():
    logits = jnp.log(jnp.array([0.4, 0.2, 0.2, 0.2]))
    for sampling in (Sampling(top_k=2), Sampling(top_p=0.5)):
        assert int(jnp.sum(sampling.law(logits) > 0)) == 4


@pytest.mark.parametrize(
    "setting",
    [{"temperature": -1}, {"temperature": float("inf")}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": -0.1}, {"min_p": 2}],
)
def test_sampling_out_of_range(setting):
    with pytest.raises(ValueError, match="expected temperature"):
        Sampling(**setting)


def test_a_biased_draw_is_caught(key):
    tokens = jax.random.categorical(key, jnp.log(jnp.array([0.43, 0.27, 0.2, 0.1])), shape=(40_000,))
    error, allowed = distance(tokens, [0.4, 0.3, 0.2, 0.1])
    assert error > allowed


def careless(x, y):
    """The divisor is guarded, the derivative of the branch not taken is not: x / tiny^2 is infinite, times zero nan."""
    return jnp.where(y > 0, x / jnp.maximum(y, numerics.tiny(y)), 0)


@pytest.mark.parametrize("divide", [numerics.divide, numerics.acceptance_probability, lambda x, y: numerics.normalise(x * y, x)])
def test_the_gradient_at_a_zero_divisor_is_finite(divide):
    x, y = jnp.array([0.0, 0.5, 0.5]), jnp.array([0.0, 0.0, 0.5])
    gradients = [jax.grad(lambda x, y: jnp.sum(divide(x, y)), (0, 1))(x, y) for y in (y, jnp.zeros(3))]
    assert all(np.isfinite(part).all() for pair in gradients for part in pair)
    assert np.isnan(jax.grad(lambda y: jnp.sum(careless(x, y)))(y)).any()


def test_the_likeliest_tokens_are_those_of_a_stable_sort_in_either_precision(seed):
    tied = np.random.default_rng(seed).integers(0, 4, (50, 12)) / 16
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            found = jax.vmap(lambda q: numerics.likeliest(q, 12))(jnp.asarray(tied, dtype))
        np.testing.assert_array_equal(found, np.argsort(-tied, 1, kind="stable"))
