"""Every scheme draws from the joint law that theory gives it, and planted samplers are caught."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.enumeration import rule_laws
from specjax import drafting
from specjax.drafting import register
from tests.helpers.sampling import DELTA, allowance

VOCABULARY, DRAWS = 4, 30_000
PAIRS = theory.battery.laws(VOCABULARY, seed=0)


def joint_law(scheme: str, q, n: int) -> np.ndarray:
    """Q over V^n tuples, masked slots holding 0, and over how many slots are live: [n + 1, V^n]."""
    problem = theory.Problem(np.full(VOCABULARY, 1 / VOCABULARY), q, n, scheme)
    joint = problem.joint()
    live = joint.tokens.shape[1]
    law = np.zeros((n + 1, *(VOCABULARY,) * n))
    law[(live, *joint.tokens.T, *np.zeros((n - live, len(joint.mass)), int))] = joint.mass
    return law.reshape(-1)


def worst_error(scheme: str, sampler, n: int, key) -> tuple[float, float, str]:
    """Total variation between drawn drafts and theory's law on the pair of the battery that fares
    worst, and its allowance.

    Infinite where a tuple of probability zero was drawn, or a slot beyond the support was left
    unmasked.
    """
    q = np.stack(
        [rule_laws.slots(pair.q, n) if scheme == "independent" else pair.q for pair in PAIRS]
    )
    laws = [joint_law(scheme, law, n) for law in q]

    def code(key, q):
        tokens, mask = sampler.sample(key, q, n)
        digits = jnp.concatenate([jnp.sum(mask)[None], jnp.where(mask, tokens, 0)])
        return digits @ (VOCABULARY ** jnp.arange(n, -1, -1))

    keys = jax.random.split(key, (len(PAIRS), DRAWS))
    codes = jax.jit(jax.vmap(jax.vmap(code, (0, None))))(keys, q.astype(np.float32))
    worst = (-1.0, 0.0, "")
    for pair, drawn, law in zip(PAIRS, np.asarray(codes), laws, strict=True):
        counts = np.bincount(drawn, minlength=len(law))
        error = np.inf if counts[law == 0].any() else np.abs(counts / DRAWS - law).sum() / 2
        allowed = allowance(np.count_nonzero(law), DRAWS)
        worst = max(worst, (error - allowed, allowed, pair.name))
    print(
        f"{scheme}: an error of {2 * worst[1]:.3f} would be caught (delta = {DELTA:g} a pair), "
        f"worst on {worst[2]}"
    )
    return worst


CASES = [
    (scheme, n) for scheme in drafting.names() for n in (1, 2, 3) if rule_laws.drafts(scheme, n)
]


@pytest.mark.key_reuse
@pytest.mark.parametrize(("scheme", "n"), CASES)
def test_sampler_draws_from_the_joint_law(scheme, n, key):
    excess, _, name = worst_error(scheme, drafting.get(scheme)(), n, key)
    assert excess <= 0, name


@pytest.mark.parametrize(
    ("scheme", "n"), [(s, n) for s, n in CASES if s in ("without_replacement", "greedy", "top_n")]
)
def test_slots_beyond_the_vocabulary_are_masked(scheme, n, key):
    tokens, mask = drafting.get(scheme)().sample(key, jnp.array([0.5, 0.5, 0.0, 0.0]), n + 4)
    assert tokens.shape == (n + 4,)
    assert mask.tolist() == [True, True] + [False] * (n + 2)


def test_a_scheme_is_two_files_of_one_name():
    assert drafting.names() == theory.drafting.names()


@register
class AnotherDraftLaw:
    """Drafts from a sharpened q and returns the plain one."""

    def sample(self, key, q, n):
        return drafting.get("iid")().sample(key, q**2 / jnp.sum(q**2), n)


@register
class LastOfTies:
    """Greedy drafts with ties to the highest index."""

    def sample(self, key, q, n):
        tokens, mask = drafting.get("greedy")().sample(key, q[::-1], n)
        return q.shape[0] - 1 - tokens, mask


@register
class SortedOrder:
    """Drafts without replacement, handed over most likely first."""

    def sample(self, key, q, n):
        tokens, mask = drafting.get("without_replacement")().sample(key, q, n)
        return tokens[jnp.argsort(jnp.where(mask, -q[tokens], 1))], mask


@register
class NothingMasked:
    """Leaves slots live that were never drawn."""

    def sample(self, key, q, n):
        tokens, mask = drafting.get("without_replacement")().sample(key, q, n)
        return tokens, jnp.ones_like(mask)


@register
class WithReplacement:
    """Forgets to leave out what was drawn."""

    def sample(self, key, q, n):
        return drafting.get("iid")().sample(key, q, n)


@register
class OneUniform:
    """All drafts share the noise."""

    def sample(self, key, q, n):
        tokens, mask = drafting.get("iid")().sample(key, q, n)
        return jnp.full_like(tokens, tokens[0]), mask


PLANTED = [
    ("iid", AnotherDraftLaw),
    ("iid", OneUniform),
    ("greedy", LastOfTies),
    ("without_replacement", SortedOrder),
    ("without_replacement", NothingMasked),
    ("without_replacement", WithReplacement),
]


@pytest.mark.parametrize(("scheme", "wrong"), PLANTED, ids=lambda x: getattr(x, "__name__", x))
def test_planted_sampler_is_caught(scheme, wrong, key):
    excess, _, _ = worst_error(scheme, wrong(), 3, key)
    assert excess > 0
