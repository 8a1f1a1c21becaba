"""alpha* on device is theory's, in both precisions, and can be differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments import _exact
from specjax import bounds

PAIRS = theory.battery.laws(37, seed=0)
P, Q = (np.stack([getattr(pair, name) for pair in PAIRS]) for name in ("p", "q"))
CASES = [(scheme, n) for scheme in bounds.schemes() for n in (1, 2, 4) if _exact.drafts(scheme, n)]


@pytest.mark.parametrize(("scheme", "n"), CASES)
def test_optimum_is_that_of_theory(scheme, n):
    exact = np.array([theory.subsets.optimum(theory.Problem(p, q, n, scheme)).value for p, q in zip(P, Q, strict=True)])
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 2e-6)):
        with jax.enable_x64(dtype is np.float64):
            optimum = jax.jit(jax.vmap(lambda p, q: bounds.optimal_acceptance(p, q, n, scheme)))
            error = np.abs(np.asarray(optimum(P.astype(dtype), Q.astype(dtype))) - exact)
        print(f"{np.dtype(dtype)}: largest difference {error.max():.1e} on {PAIRS[error.argmax()].name}")
        assert error.max() < tolerance


def test_gradient_is_that_of_finite_differences():
    pair = PAIRS[0]
    direction = np.roll(pair.p, 1) - pair.p
    with jax.enable_x64(True):
        along = jax.jit(lambda t: bounds.optimal_acceptance(pair.p + t * direction, jnp.asarray(pair.q), 2, "iid"))
        slope, difference = jax.grad(along)(0.0), (along(1e-6) - along(-1e-6)) / 2e-6
    assert abs(slope - difference) < 1e-6


@pytest.mark.parametrize(
    ("n", "scheme", "words"), [(0, "iid", "n: expected >= 1"), (2, "telepathy", "no optimum known"), (3, "hub", "pairs")]
)
def test_static_mistakes_raise(n, scheme, words):
    with pytest.raises(ValueError, match=words):
        bounds.optimal_acceptance(jnp.ones(2) / 2, jnp.ones(2) / 2, n, scheme)
