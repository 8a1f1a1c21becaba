"""Couplings: drafts and token have their laws, the token does not see q, and a hit is as likely as
theory says.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory.couplings
from specjax import couplings
from specjax.couplings import register
from tests.helpers import optimised
from tests.helpers.sampling import DELTA, distance
from theory import battery

VOCABULARY, DRAWS = 5, 10_000
PAIRS = battery.laws(VOCABULARY, seed=0)
P, Q = (
    jnp.asarray(np.stack([getattr(pair, name) for pair in PAIRS]), jnp.float32)
    for name in ("p", "q")
)
MARGIN = math.sqrt(
    math.log(2 * len(PAIRS) / DELTA) / (2 * DRAWS)
)  # Hoeffding: no hit rate of any pair is further off, but with chance DELTA
CASES = [
    (name, n)
    for name in couplings.names()
    for n in (1, 2, 4)
    if n == 1 or couplings.get(name).n_range[1] is None
]


def coupled(coupling, n, key):
    """Drafts [B, N, n] and tokens [B, N] of every pair of the battery, from N keys each."""
    keys = jax.random.split(key, (len(PAIRS), DRAWS))
    many = jax.vmap(coupling.couple, (0, None, None, None))
    all_pairs = optimised.jit(lambda *pairs: jax.lax.map(lambda pair: many(*pair, n), pairs))
    return all_pairs(keys, P, Q)


def worst_marginal(drawn, laws):
    """The excess over its allowance of the total variation between frequencies and law, on the pair
    where it is largest.
    """
    errors = [distance(x, law) for x, law in zip(np.asarray(drawn), np.asarray(laws), strict=True)]
    return max(error - allowed for error, allowed in errors)


def hit_rate(drafts, tokens):
    return np.asarray((drafts == tokens[..., None]).any(-1).mean(-1))


def stated(name, n):
    formula = getattr(theory.couplings, name)
    return np.array(
        [
            formula(pair.p, pair.q, n) if name == "gumbel_list" else formula(pair.p, pair.q)
            for pair in PAIRS
        ]
    )


@pytest.mark.key_reuse
@pytest.mark.parametrize(("name", "n"), CASES)
def test_laws_and_hits_are_as_theory_says(name, n, key):
    """Drafts have law q and the token has law p. A hit has its exact chance for one draft, at least
    that for a list; and no coupling exceeds the optimum.
    """
    drafts, tokens = coupled(couplings.get(name)(), n, key)
    assert worst_marginal(tokens, P) <= 0
    for slot in range(n):
        assert worst_marginal(drafts[..., slot], Q) <= 0
    rate, formula = hit_rate(drafts, tokens), stated(name, n)
    best = np.array(
        [theory.subsets.optimum(theory.Problem(*pair[1:], n, "iid")).value for pair in PAIRS]
    )
    print(
        f"rate - formula from {(rate - formula).min():+.4f} to {(rate - formula).max():+.4f}, "
        f"allowed {MARGIN:.4f}"
    )
    assert (rate >= formula - MARGIN).all()
    assert (formula <= best + 1e-12).all()
    if n == 1:
        assert (rate <= formula + MARGIN).all()


@pytest.mark.parametrize("n", [2, 4])
def test_the_drafts_of_a_list_are_independent(n, key):
    drafts, _ = coupled(couplings.get("gumbel_list")(), n, key)
    joint = np.asarray(Q)[:, :, None] * np.asarray(Q)[:, None]
    assert (
        worst_marginal(drafts[..., 0] * VOCABULARY + drafts[..., -1], joint.reshape(len(PAIRS), -1))
        <= 0
    )


@pytest.mark.parametrize("name", ["gumbel", "minhash"])
def test_one_draft_hits_at_least_as_often_as_the_field_proves(name):
    """(1 - TV) / (1 + TV), which is sum min / sum max."""
    apart = np.array([theory.closed_form.total_variation(pair.p, pair.q) for pair in PAIRS])
    assert (stated(name, 1) >= (1 - apart) / (1 + apart) - 1e-12).all()


def test_the_race_by_sorting_is_the_double_sum():
    for pair in PAIRS:
        with np.errstate(divide="ignore", invalid="ignore"):
            worse = np.maximum(np.divide.outer(pair.p, pair.p), np.divide.outer(pair.q, pair.q))
            shared = (pair.p > 0) & (pair.q > 0)
            slow = (1 / worse[:, shared].sum(0)).sum()
        assert abs(theory.couplings.gumbel(pair.p, pair.q) - slow) < 1e-12, pair.name


def moved(coupling, n, key):
    """Of how many tokens the value changes when q alone does; the same for the drafts and p."""
    keys = jax.random.split(key, 500)
    many = jax.jit(jax.vmap(coupling.couple, (0, None, None, None)), static_argnums=3)
    drafts, tokens = many(keys, P[0], Q[0], n)
    other_drafts, _ = many(keys, P[1], Q[0], n)
    changes = [jnp.sum(many(keys, P[0], q, n)[1] != tokens) for q in Q]
    return max(map(int, changes)), int(jnp.sum(other_drafts != drafts))


@pytest.mark.parametrize(("name", "n"), CASES)
def test_the_token_never_changes_with_the_drafter(name, n, key):
    assert moved(couplings.get(name)(), n, key) == (0, 0)


@pytest.mark.parametrize("name", couplings.names())
def test_a_large_vocabulary(name, key):
    """Rare tokens of a law over 4096 tokens come as often as they should."""
    p = 1 / jnp.arange(1.0, 4097)
    p = p / p.sum()
    keys = jax.random.split(key, 1000)
    couple = couplings.get(name)().couple
    tokens = optimised.jit(
        lambda keys: jax.lax.map(lambda key: couple(key, p, p[::-1], 1)[1], keys)
    )(keys)
    share, margin = float(jnp.mean(p[tokens] < 1e-3)), math.sqrt(math.log(2 / DELTA) / (2 * 1000))
    exact = float(jnp.sum(jnp.where(p < 1e-3, p, 0)))
    print(f"mass of the tokens below 1e-3: {share:.3f}, exactly {exact:.3f}, allowed {margin:.3f}")
    assert abs(share - exact) < margin


@pytest.mark.parametrize("name", ["gumbel", "minhash"])
def test_more_drafts_than_it_couples_are_refused(name, key):
    with pytest.raises(ValueError, match="couples one draft, expected n = 1, got n = 2"):
        couplings.get(name)().couple(key, P[0], Q[0], 2)


def test_an_unknown_coupling_is_refused():
    with pytest.raises(
        ValueError,
        match=r"unknown coupling 'telepathy': expected one of gumbel, gumbel_list, minhash",
    ):
        couplings.get("telepathy")


@register
class NoiseOfItsOwn:
    """Drafter and target draw by noise of their own."""

    n_range = (1, 1)
    source = ""

    def couple(self, key, p, q, n):
        draft, token = jax.random.split(key)
        return jax.random.categorical(draft, jnp.log(q))[None], jax.random.categorical(
            token, jnp.log(p)
        )


@register
class AsksTheDrafter:
    """Keeps the draft where it can: the one-draft rule, whose token depends on q."""

    n_range = (1, 1)
    source = ""

    def couple(self, key, p, q, n):
        draft, accept, rest = jax.random.split(key, 3)
        x = jax.random.categorical(draft, jnp.log(q))
        other = jax.random.categorical(rest, jnp.log(jnp.maximum(p - q, 0)))
        return x[None], jnp.where(jax.random.uniform(accept) * q[x] < p[x], x, other)


def test_independent_noise_is_caught(key):
    rate, formula = hit_rate(*coupled(NoiseOfItsOwn(), 1, key)), stated("gumbel", 1)
    assert (rate < formula - MARGIN).any()


def test_a_token_that_depends_on_the_drafter_is_caught(key):
    assert moved(AsksTheDrafter(), 1, key)[0] > 0
    assert moved(AsksTheDrafter(), 1, key)[1] == 0


def test_a_biased_coupling_is_caught(key):
    drafts, _ = coupled(couplings.get("gumbel")(), 1, key)
    assert worst_marginal(drafts[..., 0], P) > 0
