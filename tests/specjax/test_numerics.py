"""Draws, residuals and logit transforms, at the edges where they break."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import theory
from specjax import numerics, rules
from tests.helpers import optimised
from tests.helpers.sampling import assert_drawn_from, distance
from tests.helpers.tree_laws import words

TOP = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest uniform


def laws(size):
    return [
        (pair.name, np.float32(law))
        for pair in theory.battery.laws(size, seed=0)
        for law in (pair.p, pair.q)
    ]


# of 2^-42: how far from the sums in float64 a boundary between two tokens is sought
SPREAD = 1 << 22
LARGE = {
    "log-normal": lambda rng, size: np.exp(3 * rng.standard_normal(size)),
    "flat": lambda rng, size: np.ones(size),
    "zipf": lambda rng, size: 1 / np.arange(1.0, size + 1) ** 1.2,
    "peaked": lambda rng, size: np.where(np.arange(size) == 777, 1e6, 1.0),
    "long tail": lambda rng, size: np.where(np.arange(size) % 7 == 3, 1.0, 1e-9),
}

MORE = {"log-normal", "zipf"}  # of the same kind as the long tail


def in_words(k: np.ndarray) -> np.ndarray:
    """The uniform k 2^-42 in its two words."""
    return np.stack([(k >> 19) / 2.0**23, (k & ((1 << 19) - 1)) / 2.0**19], -1).astype(np.float32)


@optimised.jit
def drawn(law, u):
    """The token of each row of uniforms [rows, columns, 2]."""
    return jax.lax.map(lambda row: jax.vmap(numerics.draw, (None, 0))(law, row), u)


def drawn_by_one_word(law, u):
    """Planted error: of every uniform only the first word is read."""
    return drawn(law, u.at[..., 1].set(0))


def exact_law(draw, law: np.ndarray) -> np.ndarray:
    """The law of `draw` over all 2^42 uniforms: it rises with u, so that the places where the token
    changes say all.
    """
    size, every = len(law), np.arange(len(law))
    sums = np.rint(np.cumsum(law.astype(float)) / law.astype(float).sum() * 2.0**42).astype(
        np.int64
    )
    low, high = np.maximum(sums - SPREAD, 0), np.minimum(sums + SPREAD, 1 << 42)

    def beyond(k):
        k = np.pad(np.clip(k, 0, (1 << 42) - 1), (0, -size % 4096))
        return (
            np.asarray(
                draw(jnp.asarray(law), jnp.asarray(in_words(k)).reshape(-1, 4096, 2))
            ).reshape(-1)[:size]
            > every
        )

    assert not beyond(low - 1)[low > 0].any()
    assert beyond(high)[high < 1 << 42].all()
    for _ in range((2 * SPREAD).bit_length()):
        middle = (low + high) // 2
        above = beyond(middle) & (middle < high)
        low, high = (
            np.where(above, low, np.minimum(middle + 1, high)),
            np.where(above, middle, high),
        )
    return np.diff(high, prepend=0) / 2.0**42


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.thorough) if name in MORE else name for name in LARGE],
)
def test_the_exact_law_of_a_draw_at_a_large_vocabulary(name):
    """Over all uniforms of two words, V = 2^16; what the sums of rows round is all that is lost."""
    law = LARGE[name](np.random.default_rng(0), 1 << 16)
    law = (law / law.sum()).astype(np.float32)
    found, right = exact_law(drawn, law), law.astype(float) / law.sum(dtype=float)
    error = np.abs(found - right).sum() / 2
    print(
        f"{name}: total variation {error:.1e}, {np.sum((found == 0) & (law > 0))} tokens never come"
    )
    assert error < 1e-7
    assert found[law > 2.0**-40].all()


@pytest.mark.thorough
@pytest.mark.parametrize("name", LARGE)
def test_the_exact_law_of_a_draw_at_the_largest_vocabulary(name):
    law = LARGE[name](np.random.default_rng(1), 1 << 18)
    law = (law / law.sum()).astype(np.float32)
    assert np.abs(exact_law(drawn, law) - law.astype(float) / law.sum(dtype=float)).sum() / 2 < 1e-7


def test_a_draw_of_one_word_is_caught():
    law = LARGE["log-normal"](np.random.default_rng(0), 1 << 16)
    law = (law / law.sum()).astype(np.float32)
    assert (
        np.abs(exact_law(drawn_by_one_word, law) - law.astype(float) / law.sum(dtype=float)).sum()
        / 2
        > 1e-4
    )


@pytest.mark.parametrize("size", [2, 5, 37])
def test_draw_inverts_the_distribution_function(size):
    uniforms = np.concatenate([[0, TOP], np.linspace(0, TOP, 500)]).astype(np.float32)
    draw = jax.jit(jax.vmap(numerics.draw, (None, 0)))
    for name, law in laws(size):
        tokens = np.asarray(draw(law, words(uniforms)))
        positive = np.flatnonzero(law)
        assert np.all(law[tokens] > 0), f"{name}: a token of mass zero"
        assert tokens[0] == positive[0], f"{name}: u = 0 selects the first token of positive mass"
        assert np.all(np.diff(tokens[2:]) >= 0), f"{name}: monotone in u"
        sums = np.cumsum(law.astype(np.float64))
        slack = size * 2.0**-22
        for u, token in zip(uniforms, tokens, strict=True):
            assert sums[token] - law[token] - slack <= u * sums[-1] <= sums[token] + slack, (
                f"{name}: u = {u}"
            )


def test_a_draw_in_x64_reads_all_of_both_words():
    with jax.enable_x64(True):
        tail = jnp.asarray([1 - 1e-13, 1e-13])
        u = jnp.asarray([[1 - 2e-13, 0.0], [1 - 0.5e-13, 0.0], [1 - 2.0**-52, 1 - 2.0**-52]])
        assert jax.vmap(numerics.draw, (None, 0))(tail, u).tolist() == [0, 1, 1]


@pytest.mark.parametrize("chance", [1.0, 0.7, 1e-3, 1e-7, 1e-9, 1e-12, 0.0])
def test_a_coin_has_its_chance(chance):
    """Exactly, over all uniforms of two words: how many of 2^46 are below it, found by
    bisection.
    """
    chance = jnp.float32(chance)
    toss = jax.jit(lambda u: numerics.coin(u, chance))
    low, high = 0, 1 << 46
    while low < high:
        k = (low + high) // 2
        u = jnp.asarray([(k >> 23) / 2.0**23, (k & ((1 << 23) - 1)) / 2.0**23], jnp.float32)
        low, high = (k + 1, high) if toss(u) else (low, k)
    assert abs(low / 2.0**46 - float(chance)) <= 2.0**-24 * float(chance) + 2.0**-46
    if chance in (0, 1):
        assert low / 2.0**46 == chance
    if 0 < chance < 2.0**-24:  # planted: a coin of one word
        assert np.ceil(float(chance) * 2**23) / 2**23 > 1.1 * float(chance)


def test_a_uniform_of_one_word_is_refused():
    with pytest.raises(ValueError, match=r"u: expected the two words of a uniform"):
        numerics.draw(jnp.array([0.5, 0.5]), jnp.float32(0.3))


def test_draw_at_a_large_vocabulary():
    law = np.zeros(131072, np.float32)
    law[[5, 70_000, 131_000]] = 0.25, 0.5, 0.25
    tokens = jax.jit(jax.vmap(numerics.draw, (None, 0)))(
        law, words(np.float32([0, 0.24, 0.26, 0.74, 0.76, TOP]))
    )
    assert tokens.tolist() == [5, 5, 70_000, 70_000, 131_000, 131_000]


def test_a_draw_that_lets_zero_pass_is_caught():
    """`sums >= target` selects a token of mass zero at u = 0."""
    law = jnp.array([0.0, 0.5, 0.5])
    careless = jnp.argmax(jnp.cumsum(law) >= 0.0 * law.sum())
    assert law[careless] == 0
    assert law[numerics.draw(law, jnp.zeros(2))] > 0


def test_a_law_of_zeros_gives_the_first_token():
    assert numerics.draw(jnp.zeros(100), jnp.array([0.5, 0.5])) == 0


def test_accept_with_u_zero_needs_a_strict_comparison():
    """With u = 0 forced `u * q <= p` accepts a token of p = 0; a draw from the rule's law does
    not.
    """
    p, q, u = jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5]), jnp.float32(0)
    assert u * q[0] <= p[0]
    assert not u * q[0] < p[0]
    law = rules.get("single")().law(jnp.array([0]), p, q, jnp.ones(1, bool))
    assert numerics.draw(law, jnp.stack([u, u])) == 1


@pytest.mark.key_reuse
@pytest.mark.parametrize("sample", [jax.random.uniform, jax.jit(jax.random.uniform)])
def test_a_key_that_is_used_twice_is_an_error(sample, key):
    sample(key)
    with pytest.raises(jax.errors.KeyReuseError):
        sample(key)


@pytest.mark.key_reuse
def test_draws_have_the_law(key):
    law = np.float32(theory.battery.laws(37, seed=0)[1].p)
    uniforms = numerics.uniforms(key, (200_000,), jnp.float32)
    assert_drawn_from(jax.jit(jax.vmap(numerics.draw, (None, 0)))(law, uniforms), law)


@pytest.mark.key_reuse
def test_first_arrivals_are_draws_without_replacement(key):
    q = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    draw = jax.jit(jax.vmap(lambda key: numerics.first_arrivals(key, jnp.float32(q), 2)))
    tokens = draw(jax.random.split(key, 100_000))
    joint = theory.Problem(np.full(5, 0.2), q, 2, "without_replacement").joint()
    law = np.zeros(25)
    law[joint.tokens @ [5, 1]] = joint.mass
    assert_drawn_from(tokens @ jnp.array([5, 1]), law)


def test_waits_and_arrivals_are_exact_where_the_first_of_many_are():
    """Each rate is then off by no more than 2^-21 of itself, and so is the law of the first
    arrival, whatever V is.
    """
    k = np.concatenate(
        [
            np.arange(1, 2000),
            2 ** np.arange(1, 46),
            np.random.default_rng(0).integers(1, 1 << 45, 5000),
        ]
    )
    u = np.stack([(k >> 23) / 2.0**23, (k & ((1 << 23) - 1)) / 2.0**23], -1).astype(np.float32)
    wait = -np.asarray(jnp.log1p(-numerics.fine(jnp.asarray(u))), float)
    right = -np.log1p(-k / 2.0**46)
    assert np.max(np.abs(wait / right - 1)) < 2.0**-21
    rates = np.float32([1, 0.3, 1e-9, 1e-30, 2e-38])
    found = (
        np.asarray(numerics.arrivals(jnp.full(5, 3.7, jnp.float32), jnp.asarray(rates)), float)
        * 2.0**60
    )
    np.testing.assert_allclose(found, np.float32(3.7) / rates.astype(float), rtol=2.0**-22)


def tail_share(key, noise) -> tuple[float, float]:
    """Share of single drafts in a tail of 16384 tokens that holds half of q, and its allowance
    around one half.
    """
    logits = jnp.log(jnp.append(jnp.full(16384, 0.5 / 16384), 0.5))
    drawn = optimised.jit(jax.vmap(lambda key: noise(key, logits)))(jax.random.split(key, 2_000))
    return distance(drawn < 16384, [0.5, 0.5])


@pytest.mark.key_reuse
def test_the_tail_is_drafted(key):
    error, allowed = tail_share(
        key, lambda key, logits: numerics.first_arrivals(key, jnp.exp(logits), 1)[0]
    )
    assert error <= allowed


def test_capped_noise_is_caught(key):
    """Noise in 16 bits ends near 7: it never drafts the tokens of 3e-5 that the verifier
    credits.
    """
    error, allowed = tail_share(
        key,
        lambda key, logits: jnp.argmax(logits + jax.random.gumbel(key, logits.shape, jnp.float16)),
    )
    assert error > allowed


def test_residual_is_total():
    for pair in theory.battery.laws(5, seed=0):
        rest = np.asarray(numerics.residual(jnp.float32(pair.p), jnp.float32(pair.q)))
        assert theory.is_law(rest, 1e-6), pair.name
    np.testing.assert_array_equal(
        numerics.residual(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5])), [0.5, 0.5]
    )


def test_a_biased_draw_is_caught(key):
    tokens = jax.random.categorical(
        key, jnp.log(jnp.array([0.43, 0.27, 0.2, 0.1])), shape=(40_000,)
    )
    error, allowed = distance(tokens, [0.4, 0.3, 0.2, 0.1])
    assert error > allowed


def careless(x, y):
    """The divisor is guarded, the derivative of the branch not taken is not: x / tiny^2 is
    infinite, times zero nan.
    """
    return jnp.where(y > 0, x / jnp.maximum(y, numerics.tiny(y)), 0)


@pytest.mark.parametrize(
    "divide",
    [numerics.divide, numerics.acceptance_probability, lambda x, y: numerics.normalise(x * y, x)],
)
def test_the_gradient_at_a_zero_divisor_is_finite(divide):
    x, y = jnp.array([0.0, 0.5, 0.5]), jnp.array([0.0, 0.0, 0.5])
    gradients = [
        jax.grad(lambda x, y: jnp.sum(divide(x, y)), (0, 1))(x, y) for y in (y, jnp.zeros(3))
    ]
    assert all(np.isfinite(part).all() for pair in gradients for part in pair)
    assert np.isnan(jax.grad(lambda y: jnp.sum(careless(x, y)))(y)).any()


def test_the_likeliest_tokens_are_those_of_a_stable_sort_in_either_precision(seed):
    tied = np.random.default_rng(seed).integers(0, 4, (50, 12)) / 16
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            found = jax.vmap(lambda q: numerics.top_tokens(q, 12))(jnp.asarray(tied, dtype))
        np.testing.assert_array_equal(found, np.argsort(-tied, 1, kind="stable"))


def test_divergences_are_those_of_scipy():
    for pair in theory.battery.laws(5, seed=0):
        e, p = np.float32(pair.q), np.float32(pair.p)
        exact = np.float64(e), np.float64(p)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(exact[0] > 0, exact[0] / exact[1], 0).max()
        wanted = {
            "tv": np.abs(exact[0] - exact[1]).sum() / 2,
            "kl": special.rel_entr(*exact).sum(),
            "ratio": ratio,
        }
        laws = jnp.asarray(e), jnp.asarray(p)
        found = {name: float(of(*laws)) for name, of in numerics.DIVERGENCES.items()}
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6), pair.name
