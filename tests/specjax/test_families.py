"""Synthetic families: every draw is a pair of laws, and what a family says it knows is so."""

import jax
import numpy as np
import pytest

from specjax import families

SPREAD = {"log_normal": "log_normal:spread=1", "temperature": "temperature:spread=1,ratio=3"}
TEXTS = [
    *families.names(),
    *SPREAD.values(),
    "dirichlet:concentration=0.1",
    "zipf:shift=3,chance=1",
    "markov:distance=0.5",
]


def sample(text, key, vocabulary, count):
    """p and q [count, V] in float64."""
    family = families.parse(text)
    laws = jax.jit(jax.vmap(lambda key: family.sample(key, vocabulary)))(
        jax.random.split(key, count)
    )
    assert {law.dtype for law in laws} == {np.dtype(np.float32)}
    return [np.asarray(law, np.float64) for law in laws]


def distance(p, q):
    return np.abs(p - q).sum(-1) / 2


def assert_laws(laws):
    for law in laws:
        assert np.all(law >= 0)
        np.testing.assert_allclose(law.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [2, 65])
@pytest.mark.parametrize("text", TEXTS)
def test_draws_are_laws_and_their_mean_total_variation_is_what_the_family_says(
    text, vocabulary, key
):
    laws, family = sample(text, key, vocabulary, 4000), families.parse(text)
    assert_laws(laws)
    found, known = distance(*laws), family.mean_tv(vocabulary)
    error = 5 * found.std() / np.sqrt(len(found)) + 1e-6
    print(f"{found.mean():.5f}, known {known:.5f}, allowed {error:.5f}")
    if not family.limit:
        assert abs(found.mean() - known) <= error
        assert abs(found.mean() - 1.1 * known - 0.01) > error  # a tenth off would be caught
    elif vocabulary == 2:
        assert found.mean() < known - 0.05  # the limit is one


@pytest.mark.thorough
@pytest.mark.parametrize("text", [SPREAD.get(name, name) for name in families.names()])
def test_a_large_vocabulary(text, key):
    laws, known = sample(text, key, 131072, 4), families.parse(text).mean_tv(131072)
    assert_laws(laws)
    found = distance(*laws)
    assert abs(found.mean() - known) < 2e-3 + 5 * found.std() / np.sqrt(len(found))


@pytest.mark.thorough
def test_what_is_prescribed_holds_at_every_draw(key):
    for vocabulary in (2, 3, 64):
        np.testing.assert_allclose(
            distance(*sample("markov:distance=0.4", key, vocabulary, 500)), 0.4, atol=1e-6
        )
        zipf = families.parse("zipf:shift=2,chance=1")
        np.testing.assert_allclose(
            distance(*sample("zipf:shift=2,chance=1", key, vocabulary, 3)),
            zipf.mean_tv(vocabulary),
            atol=1e-6,
        )


def test_zipf_laws_hold_the_same_masses_and_temperature_the_same_order(key):
    p, q = sample("zipf:shift=4", key, 64, 50)
    np.testing.assert_array_equal(np.sort(p), np.sort(q))
    p, q = sample("temperature", key, 64, 50)
    assert np.all(np.diff(np.take_along_axis(q, np.argsort(p), -1)) >= 0)


@pytest.mark.parametrize("text", ["dirichlet", "log_normal"])
def test_target_and_draft_are_exchangeable(text, key):
    p, q = sample(text, key, 8, 8000)
    drift = (p**2 - q**2).sum(-1)
    assert abs(drift.mean()) < 5 * drift.std() / np.sqrt(len(drift))


def test_gamma_is_gamma(key):
    """Marsaglia and Tsang's proposals against SciPy's law, by the greatest distance of the
    distribution functions.
    """
    from scipy import stats

    from specjax.families.dirichlet import _log_gamma

    for shape in (0.1, 1.0, 7.5):
        drawn = np.exp(
            np.asarray(jax.jit(_log_gamma, static_argnums=2)(key, shape, 20000), np.float64)
        )
        assert stats.kstest(drawn, stats.gamma(shape).cdf).pvalue > 1e-6
        assert stats.kstest(drawn, stats.gamma(shape * 1.1).cdf).pvalue < 1e-6


@pytest.mark.parametrize(
    "text",
    [
        "nobody",
        "zipf:width=2",
        "zipf:shift=0.5",
        "zipf:chance=2",
        "markov:distance=0.7",
        "dirichlet:concentration=",
        "log_normal:noise=nan",
    ],
)
def test_a_family_that_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        families.parse(text)


def test_a_family_is_written_as_it_is_read():
    for text in TEXTS:
        family = families.parse(text)
        assert families.parse(f"{family.name}:{families.parameters(family)}") == family
