"""The optimal rule without replacement where tokens share nodes: what it emits, by enumeration, and
how near it comes to the optimum.
"""

import functools
import itertools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from specjax import bounds
from specjax._types import Certificate
from specjax.rules.optimal_without_replacement import OptimalWithoutReplacement
from specjax.solvers.levels import level_rule, low_race, newton, race_masses
from specjax.solvers.levels.level_rule import Levels
from specjax.solvers.levels.settings import SETTINGS
from tests.helpers import optimised

# V at which pairs are enumerated, where tokens share nodes, and larger sets
WIDE, NARROW = 2048, 80
SCHEME = "without_replacement"


@functools.cache
def laws(vocabulary: int) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    pairs = tuple(theory.battery.laws(vocabulary, seed=3))
    return tuple(pair.name for pair in pairs), *(
        np.stack([pair[side] for pair in pairs]).astype(np.float32) for side in (1, 2)
    )


@functools.cache
def solved(vocabulary: int, n: int) -> tuple[Levels, Certificate]:
    """Tables and certificates on the whole battery, in one program."""

    return jax.tree.map(np.asarray, solve_all(*laws(vocabulary)[1:], n))


def solve_all(
    p: np.ndarray,
    q: np.ndarray,
    n: int,
    jit: Callable = jax.jit,
) -> tuple[Levels, Certificate]:
    def solve(p, q):
        tables = OptimalWithoutReplacement().solve(p, q, n, jnp.asarray(n))
        return tables, level_rule.certificate(tables, bounds.bracket(p, q, n, SCHEME).upper, n)

    return jit(jax.vmap(solve))(p, q)


def row(tables: Levels, index: int) -> Levels:
    return jax.tree.map(lambda leaf: leaf[index], tables)


def bias(given: np.ndarray, stated: np.ndarray, p: np.ndarray) -> float:
    """TV between p and the law of tokens accepted with these masses, the rest drawn from what the
    stated masses leave of p.
    """
    p = p.astype(float) / p.sum(dtype=float)
    rest = np.maximum(p - stated, 0)
    rest = rest / rest.sum() if rest.sum() > 4 * np.finfo(stated.dtype).eps else p
    return float(np.abs(given + (1 - given.sum()) * rest - p).sum() / 2)


def given_by_pairs(tables: Levels, q: np.ndarray) -> np.ndarray:
    """What two drafts give each token, over all pairs: a level is linear in its cell, so its middle
    tells the whole cell.
    """
    q, left, share = (
        q.astype(float) / q.sum(dtype=float),
        tables.nodes.left,
        tables.nodes.share.astype(float)[:, None],
    )
    right = np.minimum(left + 1, len(tables.kernel) - 1)
    density = (
        tables.kernel.astype(float)[left] * (1 - share) + tables.kernel.astype(float)[right] * share
    )
    below = np.cumsum(density, 1) - density / 2
    wins = (density * tables.open_cell * tables.kept[:, None]) @ below.T
    with np.errstate(divide="ignore", invalid="ignore"):
        after = np.where(q < 1, q / (1 - q), 0)
    np.fill_diagonal(wins, 0)
    return after * (wins @ q) + q * (wins @ after)


def test_pairs_emit_the_target():
    """Planted: rows of the kernel that the stated masses know nothing of."""
    (names, p, q), (tables, certificate) = laws(WIDE), solved(WIDE, 2)
    worst = {0.0: 0.0, 0.01: 0.0}
    for index, plant in itertools.product(range(len(names)), worst):
        if (q[index] > 0).sum() < 2:
            continue
        one = row(tables, index)
        one = one._replace(kernel=(1 - plant) * one.kernel + plant * one.kernel[::-1])
        error = bias(given_by_pairs(one, q[index]), one.allocated, p[index])
        worst[plant] = max(worst[plant], error)
        if not plant:
            assert error <= certificate.tv_bound[index] <= 5e-6, names[index]
    print(f"largest bias {worst[0.0]:.1e}, planted {worst[0.01]:.1e}")
    assert worst[0.0] <= 1e-4 < worst[0.01]


def chance(law: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """P(the drafts are these tokens, in whatever order)."""
    found = np.zeros(len(sets))
    for order in itertools.permutations(range(sets.shape[1])):
        drawn = law[sets[:, order]]
        left = 1 - np.cumsum(drawn, 1) + drawn
        found += np.prod(drawn / np.maximum(left, 1e-300), 1)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("n", [3, 4])
def test_sets_emit_the_target(n):
    (names, p, q), (tables, certificate) = laws(NARROW), solved(NARROW, n)
    sets = np.array(list(itertools.combinations(range(NARROW), n)), np.int32)
    win = jax.jit(
        lambda tables, tokens: jax.lax.map(
            lambda x: level_rule.wins(tables, x, jnp.ones(n, bool)), tokens, batch_size=4096
        )
    )
    for index in [names.index(name) for name in ("dirichlet", "peaked_p", "peaked_q")]:
        law = q[index].astype(float) / q[index].sum(dtype=float)
        won = np.asarray(win(jax.tree.map(jnp.asarray, row(tables, index)), sets), float)
        given = np.bincount(sets.ravel(), (chance(law, sets)[:, None] * won).ravel(), NARROW)
        error = bias(given, tables.allocated[index], p[index])
        print(f"{names[index]}: bias {error:.1e}")
        assert error <= certificate.tv_bound[index] <= 5e-6, names[index]


def given_by_race(tables: Levels, q: np.ndarray, n: int) -> np.ndarray:
    """What n drafts give each token, by a race of all tokens in float64; at this one, F is the
    chance to be below a level.

    The arrivals of low tokens by t have the generating function prod f_j, f_j = e^{-q_j t} + z F_j
    (1 - e^{-q_j t}); a token is taken out of it by a division, which loses no digits while q_j t <
    1.
    """
    q, left, share = (
        q.astype(float) / q.sum(dtype=float),
        tables.nodes.left,
        tables.nodes.share.astype(float)[:, None],
    )
    density = (
        tables.kernel.astype(float)[left] * (1 - share)
        + tables.kernel.astype(float)[np.minimum(left + 1, len(tables.kernel) - 1)] * share
    )
    density /= density.sum(1, keepdims=True)
    step, slowest = 0.1, np.sort(q)[: 1 - n].sum()
    t = np.exp(np.arange(-40 / n, np.log(60 / slowest), step))[:, None]
    waits, rate = np.exp(-q[:, None, None] * t), q[:, None, None] * t

    def slopes(low: np.ndarray) -> np.ndarray:
        arrived, next_one = np.zeros((2, n, len(t), low.shape[1]))
        arrived[0] = 1
        for j, chance in enumerate(low):
            comes = (1 - waits[j]) * chance
            next_one = waits[j] * (next_one + rate[j] * chance * arrived) + comes * later(next_one)
            arrived = waits[j] * arrived + comes * later(arrived)
        found = np.zeros_like(low)
        for j, chance in enumerate(low):
            comes, others = (1 - waits[j]) * chance, np.zeros_like(arrived)
            after = np.zeros_like(arrived)
            for k in range(n):
                others[k] = (arrived[k] - (comes * others[k - 1] if k else 0)) / waits[j]
                mine = waits[j] * rate[j] * chance * others[k]
                after[k] = (next_one[k] - mine - (comes * after[k - 1] if k else 0)) / waits[j]
            found[j] = step * np.sum(
                rate[j] * waits[j] * others[n - 1] + (1 - waits[j]) * after[n - 2], 0
            )
        return found

    below = np.cumsum(density, 1) - density
    places, weights = np.polynomial.legendre.leggauss(n // 2 + 1)
    worth = sum(
        weight / 2 * slopes(below + (place + 1) / 2 * density)
        for place, weight in zip(places, weights, strict=True)
    )
    return tables.kept * (density * tables.open_cell * worth).sum(1)


def later(series: np.ndarray) -> np.ndarray:
    """The series times z."""
    return np.concatenate([np.zeros_like(series[:1]), series[:-1]])


@pytest.mark.parametrize(
    ("vocabulary", "n", "dtype"),
    [
        pytest.param(72, 12, np.float32, marks=pytest.mark.thorough),
        (600, 3, np.float32),
        pytest.param(600, 4, np.float32, marks=pytest.mark.thorough),
        pytest.param(300, 3, np.float64, marks=pytest.mark.thorough),
        pytest.param(600, 2, np.float64, marks=pytest.mark.thorough),
    ],
)
def test_a_race_of_all_tokens_emits_the_target(vocabulary, n, dtype):
    """Flat tails: tokens share nodes at V = 600; at V = 72 and 300 each is one.

    Planted: a certificate that leaves out the remainder of the series.
    """
    z = np.random.default_rng(0).standard_normal(vocabulary)
    flat, cut = np.ones(vocabulary), 1.0 * (np.arange(vocabulary) < 0.9 * vocabulary)
    pairs = [(np.exp(0.3 * z), flat), (np.exp(z), flat), (np.exp(z), cut)]
    p, q = (
        np.stack([law / law.sum() for law in side]).astype(dtype)
        for side in zip(*pairs, strict=True)
    )
    with jax.enable_x64(dtype == np.float64):
        tables, certificate = jax.tree.map(np.asarray, solve_all(p, q, n, optimised.jit))
    for index in range(len(pairs)):
        one = row(tables, index)
        given = given_by_race(one, q[index], n)
        error = bias(given, one.allocated, p[index])
        bound, referee = certificate.tv_bound[index], 1e-14
        print(
            f"bias {error:.1e} of {bound:.1e}, alpha {certificate.alpha[index]:.9f} is "
            f"{given.sum():.9f}, gap {certificate.gap[index]:.1e}"
        )
        assert error <= bound + referee
        assert abs(given.sum() - certificate.alpha[index]) <= 2 * bound + referee
        assert (
            abs(certificate.alpha_star[index] - certificate.alpha[index] - certificate.gap[index])
            < np.finfo(dtype).eps
        )
        assert bound <= (1e-5 if dtype == np.float32 else 1e-9)
        series = dtype == np.float64 and vocabulary > race_masses.ALL
        assert not series or error > 10 * (bound - one.error), (
            "a certificate without the remainder is caught"
        )


@pytest.mark.parametrize(
    ("vocabulary", "n"), [(WIDE, 2), pytest.param(NARROW, 3, marks=pytest.mark.thorough)]
)
def test_it_comes_near_the_optimum(vocabulary, n):
    (names, p, q), (tables, certificate) = laws(vocabulary), solved(vocabulary, n)
    short = []
    for index, name in enumerate(names):
        ends = (law[index] / law[index].sum(dtype=float) for law in (p, q))
        best = theory.subsets.optimum(theory.Problem(*ends, n, SCHEME)).value
        short.append(best - tables.allocated[index].sum(dtype=float))
        assert best <= certificate.alpha_star[index] + 2e-6, name
        assert (
            abs(certificate.alpha_star[index] - certificate.alpha[index] - certificate.gap[index])
            < 1e-6
        ), name
    print(
        f"n = {n}: " + " ".join(f"{name} {gap:.1e}" for name, gap in zip(names, short, strict=True))
    )
    assert max(short) <= 1e-5
    assert np.all(certificate.converged)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def tie(rng: np.random.Generator, vocabulary: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One token of q = .12 or .2 that is swept through the tie of two best sets."""
    likely, ratio = (0.12, 0.2)[index % 2], 1.3 + index / 20
    z, noise = rng.standard_normal((2, vocabulary - 1))
    return np.append(likely * ratio, (1 - likely * ratio) * softmax(z)), np.append(
        likely, (1 - likely) * softmax(z + noise)
    )


def flat(rng: np.random.Generator, vocabulary: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat q, and p log-normal."""
    return softmax((0.3, 0.5, 1)[index % 3] * rng.standard_normal(vocabulary)), np.full(
        vocabulary, 1 / vocabulary
    )


def square(rng: np.random.Generator, vocabulary: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """q in proportion to p^2."""
    logits = (0.5 + index / 10) * rng.standard_normal(vocabulary)
    return softmax(logits), softmax(2 * logits)


def near(rng: np.random.Generator, vocabulary: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """A draft law near its target: alpha* lies above .998."""
    z, noise = rng.standard_normal((2, vocabulary))
    return softmax((0.5 + index / 8) * z + 0.05 * noise), softmax((0.5 + index / 8) * z)


def contexts(family, vocabulary: int, indices: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Laws of a family, [B, V] each; the noise of a context hangs on its index."""
    pairs = [family(np.random.default_rng([1, i]), vocabulary, i) for i in indices]
    p, q = (np.stack(side).astype(np.float32) for side in zip(*pairs, strict=True))
    return p, q


def gaps(family, vocabulary: int, n: int, indices: Iterable[int] = range(9)) -> np.ndarray:
    return np.asarray(solve_all(*contexts(family, vocabulary, indices), n)[1].gap)


thorough = pytest.mark.thorough


@pytest.mark.parametrize(
    ("family", "vocabulary", "n"),
    [
        pytest.param(tie, 1500, 2, marks=thorough),
        (tie, 600, 2),
        pytest.param(flat, 200, 4, marks=thorough),
        pytest.param(near, 8192, 2, marks=thorough),
        pytest.param(flat, 300, 8, marks=thorough),
        pytest.param(flat, 600, 4, marks=thorough),
        pytest.param(square, 300, 4, marks=thorough),
        pytest.param(near, 8192, 4, marks=thorough),
    ],
)
def test_it_comes_near_the_optimum_where_searches_stall(family, vocabulary, n):
    """Nine contexts of each family."""
    short = gaps(family, vocabulary, n)
    print(
        f"{family.__name__} V = {vocabulary} n = {n}: gaps {short.min():.1e} .. {short.max():.1e}"
    )
    assert short.max() <= 1e-5
    assert short.min() >= -2e-6


def sharp(rng: np.random.Generator, vocabulary: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """q in proportion to p^2, nearly one-hot: its tokens lie up to 1e38 apart."""
    logits = (28 + index) * rng.standard_normal(vocabulary)
    return softmax(logits), softmax(2 * logits)


@pytest.mark.parametrize("plant", [False, True])
def test_nearly_one_hot_laws_give_numbers(monkeypatch, plant):
    """Logits of deviation 59 to 72. Planted: the age of a token that has long come overflows."""
    if plant:
        monkeypatch.setattr(low_race, "AGES", np.inf)
    short = gaps(sharp, 300, 4, (32,) if plant else (31, 32, 33, 43, 44))
    print(f"gaps {short}")
    assert np.all(np.isfinite(short)) == (not plant)
    assert plant or np.max(np.abs(short)) <= 1e-5


@pytest.mark.thorough
def test_flat_laws_and_many_drafts():
    """What the settings are chosen by: flat q, V = 300, n = 8."""
    short = gaps(flat, 300, 8, range(2))
    print(f"gaps {short}")
    assert -2e-6 <= short.min() <= short.max() <= 1e-5


@pytest.mark.thorough
def test_flat_and_nearly_one_hot_laws_where_tokens_share_nodes():
    laws = contexts(flat, 600, range(9)), contexts(sharp, 600, range(4))
    short = np.asarray(solve_all(*map(np.concatenate, zip(*laws, strict=True)), 4)[1].gap)
    print(f"gaps {short}")
    assert np.max(np.abs(short)) <= 1e-5


@pytest.mark.parametrize("live", [pytest.param(1, marks=pytest.mark.thorough), 2])
def test_surplus_slots_change_nothing_at_a_large_vocabulary(live):
    """Where tokens share nodes, `live` of three slots accept what `live` slots do; one accepts sum
    min(p, q).
    """
    p, q = (jnp.asarray(law, jnp.float32) for law in square(np.random.default_rng(2), 600, 3))
    masked = float(
        jax.jit(lambda live: OptimalWithoutReplacement().solve(p, q, 3, live))(
            jnp.asarray(live)
        ).allocated.sum()
    )
    alone = theory.subsets.optimum(
        theory.Problem(*(np.float64(law) / np.float64(law).sum() for law in (p, q)), live, SCHEME)
    ).value
    print(f"{live} of 3: {masked:.7f}, optimum {alone:.7f}")
    assert -2e-6 <= alone - masked <= 1e-5


def test_a_search_that_stops_early_is_seen(monkeypatch):
    """Planted: three steps of Newton's method."""
    monkeypatch.setattr(newton, "SETTINGS", SETTINGS._replace(steps=3))
    assert gaps(tie, 1500, 2).max() > 1e-4
