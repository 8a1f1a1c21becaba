"""alpha* on device is theory's, in both precisions; its bracket holds it; its gradient is that of
finite differences.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.enumeration import rule_laws
from specjax import bounds
from specjax.numerics import top_tokens
from theory.battery import Pair

SMALL, LARGE = 37, 8192  # sorted; binned
TOLERANCE = {np.float64: 1e-9, np.float32: 2e-6}
WIDTH = {"iid": 1e-6, "without_replacement": 5e-6}
CASES = [
    (scheme, n)
    for scheme in bounds.schemes()
    for n in (1, 2, 4, 8)
    if rule_laws.drafts(scheme, n) and scheme != "independent"
]
BINNED = [
    ("iid", 2),
    ("iid", 8),
    pytest.param("without_replacement", 2, marks=pytest.mark.thorough),
    ("without_replacement", 8),
]


def law(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


def large_pairs(vocabulary: int) -> list[Pair]:
    """Laws whose mass lies in few bins, in all, or in none: what the small battery cannot hold."""
    rng = np.random.default_rng(vocabulary)
    noise = 1 + 1e-6 * rng.standard_normal(vocabulary)
    rough, flat = (
        law(np.exp(3 * rng.standard_normal(vocabulary))),
        np.full(vocabulary, 1 / vocabulary),
    )
    half, hot = np.arange(vocabulary) % 2 == 0, np.arange(vocabulary) == 5
    near = law(rough * np.exp(rng.standard_normal(vocabulary)))
    nucleus = law(np.where(near >= np.sort(near)[-300], near, 0))
    peaked = law((1 - 1e-7) * hot + 1e-7 * rough)
    zipf = law(1.0 / (1 + rng.permutation(vocabulary)))
    pairs = {
        "log-normal": (rough, near),
        "zipf": (law(zipf * np.exp(0.5 * rng.standard_normal(vocabulary))), zipf),
        "near-equal": (law(rough * noise), rough),
        "near-equal ratios": (law(rough * np.where(half, 1, 3) * noise), rough),
        "equal": (rough, rough),
        "flat": (flat, rough),
        "flat drafts": (rough, flat),
        "flat ratios": (law(np.where(half, 1.0, 3.0)), flat),
        "one-hot p": (1.0 * hot, rough),
        "one-hot q": (rough, 1.0 * hot),
        "peaked p": (peaked, rough),
        "peaked q": (rough, peaked),
        "peaked both": (peaked, law((1 - 1e-3) * hot + 1e-3 * near)),
        "disjoint": (law(rough * half), law(near * ~half)),
        "shared zeros": (law(rough * half), law(near * half)),
        "nucleus": (rough, nucleus),
        "nucleus both": (nucleus, law(rough * (nucleus > 0))),
    }
    return [Pair(name, p, q) for name, (p, q) in pairs.items()]


def brackets(pairs, n, scheme, dtype):
    """The brackets of all pairs, and theory's value at the very laws that the device saw."""
    p, q = (np.stack([getattr(pair, name) for pair in pairs]).astype(dtype) for name in ("p", "q"))
    exact = [
        theory.subsets.optimum(theory.Problem(p, q, n, scheme)).value
        for p, q in zip(*map(rescaled, (p, q)), strict=True)
    ]
    with jax.enable_x64(dtype is np.float64):
        found = jax.jit(jax.vmap(lambda p, q: bounds.bracket(p, q, n, scheme)))(p, q)
        return jax.tree.map(lambda end: np.asarray(end, np.float64), found), np.array(exact)


def rescaled(laws):
    laws = laws.astype(np.float64)
    return laws / laws.sum(-1, keepdims=True)


def assert_brackets(pairs, found, exact, tolerance, width):
    error, wide = np.abs(found.value - exact), found.upper - found.lower
    print(
        f"largest error {error.max():.1e} on {pairs[error.argmax()].name}, widest {wide.max():.1e} "
        f"on {pairs[wide.argmax()].name}"
    )
    assert error.max() < tolerance
    assert wide.max() < width
    # theory rounds too: 1e-12
    assert (found.lower - 1e-12 <= exact).all(), pairs[(found.lower - exact).argmax()].name
    assert (exact <= found.upper + 1e-12).all(), pairs[(exact - found.upper).argmax()].name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("scheme", "n"), CASES)
def test_optimum_is_that_of_theory(scheme, n, dtype):
    pairs = theory.battery.laws(SMALL, seed=0)
    found, exact = brackets(pairs, n, scheme, dtype)
    assert_brackets(pairs, found, exact, TOLERANCE[dtype], 2 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [2, 4])
def test_drafts_that_hardly_ever_come(n, dtype):
    """Few tokens, the last with 1e-30 of q: n - 1 drafts take all of q but as much."""
    pairs = theory.battery.laws(5, seed=0)
    found, exact = brackets(pairs, n, "without_replacement", dtype)
    assert_brackets(pairs, found, exact, TOLERANCE[dtype], 2 * TOLERANCE[dtype])


@pytest.mark.parametrize(("scheme", "n"), BINNED)
def test_bins_find_what_a_sort_finds(scheme, n):
    pairs = large_pairs(LARGE)
    found, exact = brackets(pairs, n, scheme, np.float32)
    assert_brackets(pairs, found, exact, TOLERANCE[np.float32], WIDTH[scheme])


@pytest.mark.parametrize("n", [2, pytest.param(8, marks=pytest.mark.thorough)])
def test_a_float64_bracket_without_replacement_holds_what_the_series_leaves_out(n, seed):
    """Beyond the vocabularies that are sorted; 256 equal tokens are where the series is worst, half
    of them beyond the head.
    """
    rng, few = np.random.default_rng(seed), np.append(np.ones(256), np.full(LARGE - 256, 1e-9))
    pairs = []
    for q in (np.ones(LARGE), 1 / np.arange(1, LARGE + 1), few):
        p = q**0.8 * np.exp(0.5 * rng.normal(size=LARGE))
        pairs.append(Pair("tail", p / p.sum(), q / q.sum()))
    found, exact = brackets(pairs, n, "without_replacement", np.float64)
    print(f"n = {n}: off by {np.abs(found.value - exact)}, widths {found.upper - found.lower}")
    assert (np.abs(found.value - exact) > 1e-14).any(), (
        "nothing is left out: the test tests nothing"
    )
    assert (found.lower <= exact).all()
    assert (exact <= found.upper).all()


@pytest.mark.parametrize("n", [2, 3])
def test_different_drafters_are_enclosed(n):
    rng = np.random.default_rng(n)
    pairs = [
        Pair(pair.name, pair.p, rule_laws.slots(pair.q, n))
        for v in (8, 10)
        for pair in theory.battery.laws(v, seed=n)
        if v == 8
    ]
    pairs += [
        Pair("random", rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(8), n)) for _ in range(60)
    ]
    found, exact = brackets(pairs, n, "independent", np.float64)
    error, width = found.value - exact, found.upper - found.lower
    print(
        f"n = {n}: {(error > 1e-9).sum()} of {len(pairs)} missed, by {error.max():.1e}; widths "
        f"above 1e-9: {(width > 1e-9).sum()}"
    )
    print(
        f"widest {width.max():.1e} on {pairs[width.argmax()].name}, median {np.median(width):.1e}"
    )
    assert (found.lower - 1e-9 <= exact).all()
    assert (exact <= found.upper + 1e-9).all()


@pytest.mark.parametrize("vocabulary", [50, pytest.param(LARGE, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("scheme", "n"),
    [
        ("iid", 2),
        ("without_replacement", 2),
        ("greedy", 2),
        ("hub", 2),
        ("top_n", 2),
        ("independent", 2),
    ],
)
def test_gradient_is_that_of_finite_differences(scheme, n, vocabulary, seed):
    rng = np.random.default_rng(seed)
    p, q, to = rng.dirichlet(np.ones(vocabulary), (3, 2))
    if scheme == "independent":
        q = np.stack([q, q[::-1]], 1)
    step = 1e-6

    def along(t, u, p, q, to):
        onto = to if q.ndim == 1 else jnp.stack([to, to])
        return bounds.optimal_acceptance(p + t * (to - p), q + u * (onto - q), n, scheme)

    with jax.enable_x64(True):
        slopes = jax.jit(jax.vmap(jax.grad(along, (0, 1)), (None, None, 0, 0, 0)))(
            0.0, 0.0, p, q, to
        )
        at = jax.jit(jax.vmap(along, (None, None, 0, 0, 0)))
        for slope, (t, u) in zip(slopes, ((step, 0.0), (0.0, step)), strict=True):
            difference = (at(t, u, p, q, to) - at(-t, -u, p, q, to)) / (2 * step)
            np.testing.assert_allclose(slope, difference, atol=1e-6)


def test_gradient_of_iid_is_that_of_its_set():
    with jax.enable_x64(True):
        p, q = (jnp.asarray(x) for x in theory.battery.laws(SMALL, seed=0)[0][1:])
        slope_p, slope_q = jax.grad(bounds.optimal_acceptance, (0, 1))(p, q, 4, "iid")
    inside = theory.subsets.optimum(theory.Problem(p, q, 4, "iid")).subset
    np.testing.assert_array_equal(slope_p, inside)
    np.testing.assert_allclose(slope_q, -4 * inside * np.asarray(q)[inside].sum() ** 3, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    pair = theory.battery.laws(SMALL, seed=0)[0]
    p, q = (jnp.asarray(x).astype(dtype) for x in pair[1:])
    value = bounds.optimal_acceptance(p, q, 2, "iid")
    exact = theory.subsets.optimum(
        theory.Problem(*(rescaled(np.asarray(x, np.float32)) for x in (p, q)), 2, "iid")
    ).value
    assert value.dtype == jnp.float32
    assert abs(value - exact) < 2e-6


@pytest.mark.parametrize("n", [2, 4])
def test_simple_bounds_are_those_of_theory(n):
    for pair in theory.battery.laws(SMALL, seed=0):
        p, q = (jnp.asarray(x, jnp.float32) for x in pair[1:])
        assert (
            abs(
                bounds.singleton_bound(p, q, n)
                - theory.closed_form.singleton_bound(pair.p, pair.q, n, "iid")
            )
            < 1e-6
        ), pair.name
        assert (
            abs(bounds.overlap(p, q) - theory.closed_form.single(pair.p, pair.q, 1, "iid")) < 1e-6
        ), pair.name


def test_a_wrong_bracket_is_caught():
    pairs = theory.battery.laws(SMALL, seed=0)
    found, exact = brackets(pairs, 2, "iid", np.float32)
    for wrong in (
        found._replace(lower=found.value + 1e-5),
        found._replace(upper=found.value - 1e-5),
        found._replace(value=exact + 1e-5),
    ):
        with pytest.raises(AssertionError):
            assert_brackets(pairs, wrong, exact, 2e-6, 1e-3)


@pytest.mark.parametrize(
    ("n", "scheme", "words"),
    [
        (0, "iid", "n: expected >= 1"),
        (2, "telepathy", "no optimum known"),
        (3, "hub", "pairs"),
        (2, "independent", "expected shape"),
    ],
)
def test_static_mistakes_raise(n, scheme, words):
    with pytest.raises(ValueError, match=words):
        bounds.optimal_acceptance(jnp.ones(2) / 2, jnp.ones(2) / 2, n, scheme)


def test_the_bracket_of_a_tie_along_the_whole_order():
    """p(H) = q(H)^2 at every prefix: all cells are as good as each other, few can be opened, and
    the bracket stays as wide as it says.
    """
    ends = np.linspace(0, 1, LARGE + 1)
    p, q = (np.diff(x).astype(np.float32) for x in (ends**2, ends))
    found = jax.jit(bounds.bracket, static_argnums=(2, 3))(p, q, 2, "iid")
    print(f"width {found.upper - found.lower:.1e}")
    assert found.lower <= 1 <= found.upper
    assert abs(found.value - 1) < 2e-7
    assert found.upper - found.lower <= 5e-4


def sorts(function, vocabulary):
    """The sorts of a whole law in the compiled program."""
    law = jax.ShapeDtypeStruct((vocabulary,), jnp.float32)
    program = jax.jit(function).lower(law, law).compile().as_text()
    return re.findall(rf"= \(?\w+\[{vocabulary}\][^=]* sort\(", program)


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in bounds.schemes() if scheme != "independent"]
)
def test_no_bound_sorts_a_large_vocabulary(scheme):
    assert not sorts(lambda p, q: bounds.bracket(p, q, 2, scheme), LARGE)


def test_a_slice_of_the_likeliest_tokens_is_caught():
    """Planted: part of a top_k, which the compiler turns into a sort of all."""

    def sliced(p, q):
        top = top_tokens(q, 128)
        return p[top[:3]].sum() + p[top].sum()

    assert sorts(sliced, LARGE)
