"""The optimal rule at a vocabulary too large to enumerate: its tables, read in float64, give p and
alpha*.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from specjax import rules
from specjax.numerics import rounding_error
from specjax.rules import optimal
from specjax.solvers.levels.level_rule import Levels

pytestmark = pytest.mark.short  # in float32, also as users' programs are optimised
V, DRAFTS = 2048, (1, 2, 8)
PAIRS = theory.battery.laws(V, seed=0)
P, Q = (np.stack([getattr(pair, name) for pair in PAIRS]).astype(np.float32) for name in ("p", "q"))


@functools.cache
def solved(n: int) -> tuple[Levels, rules.Certificate]:
    """The rule and its certificate at every pair, by vmap."""
    solve = jax.jit(
        jax.vmap(
            lambda p, q: (
                optimal.Optimal().solve(p, q, n, jnp.asarray(n)),
                rules.get("optimal")().certificate(p, q, n),
            )
        )
    )
    return jax.tree.map(np.asarray, solve(P, Q))


def emitted(levels: Levels, p: np.ndarray, q: np.ndarray, n: int) -> np.ndarray:
    """The law that these tables emit, in float64: n independent slots, of which the highest level
    wins.
    """
    p, q, left, share = (
        p.astype(float),
        q.astype(float),
        levels.nodes.left,
        levels.nodes.share.astype(float),
    )
    p, q = p / p.sum(), q / q.sum()
    kernel, right = levels.kernel.astype(float), np.minimum(left + 1, len(levels.kernel) - 1)
    mass = np.bincount(left, q * (1 - share), len(kernel)) + np.bincount(
        right, q * share, len(kernel)
    )
    cells = mass @ kernel
    ends = np.cumsum(cells)
    worth = sum(ends**j * (ends - cells) ** (n - 1 - j) for j in range(n)) * levels.open_cell
    rate = kernel @ worth
    given = q * levels.kept * (rate[left] * (1 - share) + rate[right] * share)
    rest = np.maximum(p - levels.allocated, 0)
    rest = rest / rest.sum() if rest.sum() > rounding_error(jnp.asarray(levels.allocated)) else p
    return given + (1 - given.sum()) * rest


@pytest.mark.parametrize("n", DRAFTS)
def test_large_vocabulary(n):
    levels, certificate = solved(n)
    worst = np.zeros(2)
    for row, pair in enumerate(PAIRS):
        one = jax.tree.map(lambda leaf, row=row: leaf[row], levels)
        bias = np.abs(emitted(one, P[row], Q[row], n) - P[row] / P[row].sum(dtype=float)).sum() / 2
        best = theory.subsets.optimum(
            theory.Problem(
                P[row] / P[row].sum(dtype=float), Q[row] / Q[row].sum(dtype=float), n, "iid"
            )
        ).value
        worst = np.maximum(worst, [bias, best - one.allocated.sum(dtype=float)])
        assert bias <= certificate.tv_bound[row] <= 5e-6, pair.name
        assert best <= certificate.alpha_star[row] + 1e-7, pair.name
        assert best - one.allocated.sum(dtype=float) <= 1e-5, pair.name
    print(f"n = {n}: bias at most {worst[0]:.1e}, below alpha* by at most {worst[1]:.1e}")
    assert certificate.converged.all()


def test_a_kernel_whose_masses_are_not_its_own_is_seen():
    """Planted: tokens swap levels that the stated masses know nothing of."""
    levels, certificate = solved(2)
    row = next(row for row, pair in enumerate(PAIRS) if pair.name == "dirichlet")
    one = jax.tree.map(lambda leaf: leaf[row], levels)
    wrong = one._replace(kernel=0.99 * one.kernel + 0.01 * one.kernel[::-1])
    bias = np.abs(emitted(wrong, P[row], Q[row], 2) - P[row]).sum() / 2
    assert bias > 10 * certificate.tv_bound[row]


@pytest.mark.parametrize("n", DRAFTS)
def test_no_context_spoils_another(n):
    """A pair solved among others, laws of nan beside it, is what it is alone."""
    rule = optimal.Optimal()
    solve = jax.jit(jax.vmap(lambda p, q: rule.solve(p, q, n, jnp.asarray(n)).allocated))
    spoiled = solve(np.concatenate([P[:-1], np.full((1, V), np.nan, np.float32)]), Q)
    np.testing.assert_allclose(spoiled[:-1], solved(n)[0].allocated[:-1], atol=1e-6)
