"""The front on device, the rule that attains it, and rules that are run for another target."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.enumeration import rule_laws
from specjax import bounds, rules, targets, trees, verifiers
from tests.helpers import optimised
from theory import Problem, front

SCHEMES = [
    ("iid", 1),
    ("iid", 2),
    ("iid", 3),
    ("without_replacement", 2),
    ("greedy", 3),
    ("hub", 2),
    ("top_n", 2),
]
PRICES = (0.25, 1.0, 80.0)
PAIRS = (*theory.battery.laws(5, 0), *theory.battery.drawn(5, 0)[::4])


@functools.cache
def cases(scheme: str, n: int) -> rule_laws.Cases:
    return rule_laws.cases(PAIRS, scheme, n)


def points(scheme: str, n: int, price: float) -> list[front.Point]:
    edges = [front.front(Problem(pair.p, pair.q, n, scheme)) for pair in PAIRS]
    return [edge.at_price(price) for edge in edges]


def enumerated(rule, scheme: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The emitted law and the acceptance at every pair."""
    held = cases(scheme, n)
    every = rule_laws.patterns(n)
    laws = rule_laws.laws(rule, held.p, held.q, n, every)
    rows = np.arange(len(held.names))
    natural = laws[rows, held.natural]
    mass = held.mass[held.natural, rows]
    drafts = rule_laws.tuples(5, n)
    hit = np.stack([rule_laws.members(drafts, every[mask], 5) for mask in held.natural])
    emitted = np.einsum("bx,bxy->by", mass, natural)
    accepted = np.einsum("bx,bxy->b", mass, np.where(hit, natural, 0))
    return emitted, accepted


@pytest.mark.parametrize(("scheme", "n"), SCHEMES)
def test_the_bound_is_that_of_theory(scheme, n):
    for dtype, allowed in ((np.float64, 1e-12), (np.float32, 1e-6)):
        with jax.enable_x64(True):
            find = jax.jit(
                jax.vmap(lambda p, q, price: bounds.front(p, q, n, scheme, price), (0, 0, None))
            )
            p = np.stack([pair.p for pair in PAIRS]).astype(dtype)
            q = np.stack([pair.q for pair in PAIRS]).astype(dtype)
            worst = 0.0
            for price in PRICES:
                found = find(p, q, dtype(price))
                for row, point in enumerate(points(scheme, n, price)):
                    worst = max(worst, abs(found.acceptance[row] - point.acceptance))
                    worst = max(worst, abs(found.tv[row] - point.tv))
                    worst = max(worst, np.abs(found.law[row] - point.law).max())
        print(f"{scheme} n = {n}, {dtype.__name__}: off by {worst:.1e}")
        assert worst < allowed


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_rule_emits_the_law_and_accepts_what_the_front_says(n):
    worst = np.zeros(2)
    for price in PRICES:
        emitted, accepted = enumerated(rules.Front(price=price), "iid", n)
        for row, point in enumerate(points("iid", n, price)):
            off = np.abs(emitted[row] - point.law).max(), abs(accepted[row] - point.acceptance)
            worst = np.maximum(worst, off)
    print(f"n = {n}: law off by {worst[0]:.1e}, acceptance by {worst[1]:.1e}")
    assert worst.max() < 1e-9


def test_a_band_of_the_draft_law_accepts_less_at_two_drafts():
    """Planted: e = clip(q, a p, b p), which is right at one draft."""

    class Planted:
        def __call__(self, p, q, n, live):
            return bounds.band(p, q, 1.0).law

    planted = rules.Retarget(rules.Optimal(), jax.tree_util.Partial(Planted()))
    emitted, accepted = enumerated(planted, "iid", 2)
    held = cases("iid", 2)
    tv = np.abs(emitted - held.p).sum(1) / 2
    short = np.minimum(1, held.optimum + tv) - accepted
    assert short.max() > 1e-2


@pytest.mark.parametrize("vocabulary", [5, 2048])
def test_at_price_0_it_is_the_optimal_rule_to_the_bit(vocabulary):
    rng = np.random.default_rng(0)
    p, q = jnp.asarray(rng.dirichlet(np.ones(vocabulary), 2), jnp.float32)
    tokens = jnp.arange(3, dtype=jnp.int32)
    mask = jnp.ones(3, bool)
    lossless = jax.jit(rules.Optimal().law)(tokens, p, q, mask)
    found = jax.jit(lambda price: rules.Front(price=price).law(tokens, p, q, mask))(0.0)
    assert np.array_equal(lossless, found)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_large_vocabulary_in_single_precision(n):
    """At V = 131072 the rule is within 1e-5 of the line, and emits the law that it says."""
    rng = np.random.default_rng(n)
    size = 131072
    p = np.exp(3.0 * rng.normal(size=size))
    q = p * np.exp(1.2 * rng.normal(size=size))
    p, q = p / p.sum(), q / q.sum()
    problem = Problem(p, q, n, "iid")

    @optimised.jit
    def solve(p, q, price):
        rule = rules.Front(price=price)
        solved = rule.solve(p, q, n, jnp.asarray(n))
        return solved.law, rule.accepted(solved)

    edge = front.front(problem)
    for price in (0.25, 1.0):
        law, accepted = solve(p.astype(np.float32), q.astype(np.float32), price)
        point = edge.at_price(price)
        tv = np.abs(np.asarray(law, float) - p).sum() / 2
        short = front.line(problem, tv) - float(accepted)
        print(f"n = {n}, price {price}: below the line by {short:.1e}")
        assert abs(short) < 1e-5
        assert abs(float(law.sum()) - 1) < 1e-6
        assert front.divergence(np.asarray(law, float), p) == pytest.approx(point.kl, abs=1e-4)


def test_a_long_tail_without_replacement():
    rng = np.random.default_rng(3)
    p = np.exp(3.0 * rng.normal(size=3000))
    q = p * np.exp(1.2 * rng.normal(size=3000))
    problem = Problem(p / p.sum(), q / q.sum(), 2, "without_replacement")
    laws = jnp.asarray((problem.p, problem.q), jnp.float32)
    found = bounds.front(*laws, 2, problem.drafting, 1.0)
    tv = np.abs(np.asarray(found.law, float) - problem.p).sum() / 2
    law = Problem(np.asarray(found.law, float), problem.q, 2, "without_replacement")
    short = front.line(problem, tv) - theory.subsets.optimum(law).value
    print(f"below the line by {short:.1e}")
    assert abs(short) < 1e-5


@pytest.mark.parametrize(
    ("rule", "scheme", "n"),
    [
        (rules.KSeq(), "iid", 2),
        (rules.RecursiveRejection(), "iid", 2),
        (rules.Greedy(), "greedy", 3),
        (rules.OneHot(), "top_n", 2),
        (rules.RecursiveRejectionWithoutReplacement(), "without_replacement", 2),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_retargeted_rule_emits_its_target(rule, scheme, n):
    emitted, accepted = enumerated(rules.Retarget(rule, targets.Band(1.0, scheme)), scheme, n)
    found = points(scheme, n, 1.0)
    apart = [np.abs(law - point.law).max() for law, point in zip(emitted, found, strict=True)]
    short = np.array([point.acceptance for point in found]) - accepted
    print(f"{rule.name}: law off by {max(apart):.1e}, below the front by {short.max():.1e}")
    assert max(apart) < 1e-9
    assert short.min() > -1e-9
    if rule.claims.optimal_at(n):
        assert short.max() < 1e-9


@pytest.mark.parametrize(
    ("target", "law"),
    [
        (targets.Interpolate(0.3), lambda p, q: 0.7 * p + 0.3 * q),
        (targets.Sharpen(0.5), lambda p, q: p**2 / (p**2).sum()),
        (
            targets.Shift(2.0),
            lambda p, q: p * np.exp(2 * np.where(q >= 0.1 * q.max(), q - p, 0)),
        ),
    ],
    ids=["interpolate", "sharpen", "shift"],
)
def test_targets_are_emitted_exactly(target, law):
    held = cases("iid", 2)
    emitted, _ = enumerated(rules.Retarget(rules.Optimal(), target), "iid", 2)
    for p, q, found in zip(held.p, held.q, emitted, strict=True):
        wanted = law(p, q)
        assert np.abs(found - wanted / wanted.sum()).max() < 1e-9


def test_a_retargeted_verifier_emits_the_band_at_inner_nodes_and_p_at_leaves():
    p = np.array([[0.5, 0.3, 0.2]] * 3)
    q = np.array([[0.2, 0.3, 0.5]] * 3)
    target = targets.Band(0.5)
    with jax.enable_x64(True):
        verifier = verifiers.Retarget(verifiers.Block(), target)
        shape = trees.chain(2)

        def ends(tokens):
            return verifier.law(trees.Draft(shape, tokens, jnp.asarray(q), "iid"), jnp.asarray(p))

        paths = rule_laws.tuples(3, 2)
        tokens = np.concatenate((np.zeros((9, 1), np.int32), paths), 1)
        laws = np.asarray(jax.vmap(ends)(jnp.asarray(tokens)))
    mass = q[0][paths].prod(1)
    first = np.zeros(3)
    for path, chance, law in zip(paths, mass, laws, strict=True):
        first += chance * law[0]
        first[path[0]] += chance * law[1:].sum()
    band = front.front(Problem(p[0], q[0], 1, "iid")).at_price(0.5).law
    assert first == pytest.approx(band, abs=1e-12)
    assert not verifier.claims.lossless


@pytest.mark.parametrize(
    ("rule", "n"), [(rules.Single(), 1), (rules.KSeq(), 2)], ids=["single", "kseq"]
)
def test_an_overruled_rule_loses_no_more_than_it_gains(rule, n):
    held = cases("iid", n)
    _, before = enumerated(rule, "iid", n)
    emitted, after = enumerated(rules.Overrule(rule, rules.Lenience(0.3)), "iid", n)
    tv = np.abs(emitted - held.p).sum(1) / 2
    gain = after - before
    print(f"{rule.name}: gains up to {gain.max():.3f}, TV exceeds it by {(tv - gain).max():.1e}")
    assert gain.min() > -1e-12
    assert gain.max() > 0.05
    assert (tv - gain).max() < 1e-12
    if n == 1:
        assert np.abs(tv - gain).max() < 1e-12


def worse(repaired, published, p) -> str:
    """Why a repair is none: it accepts less, or its law is farther from p."""
    (law, accepted), (before, of_rule) = repaired, published
    farther = np.abs(law - p).sum(1) - np.abs(before - p).sum(1)
    if (of_rule - accepted).max() > 1e-12:
        return "accepts less"
    return "is farther from p" if farther.max() > 1e-12 else ""


@pytest.mark.parametrize("name", ["lenience", "typical", "lantern", "rapid", "spec_verification"])
def test_a_repaired_rule_accepts_no_less_at_no_more_bias(name):
    held = cases("iid", 1)
    rule = rules.get(name)()
    published = enumerated(rule, "iid", 1)
    law, accepted = enumerated(rules.Overrule(rules.Single(), rule), "iid", 1)
    tv = np.abs(law - held.p).sum(1) / 2
    assert worse((law, accepted), published, held.p) == ""
    assert np.abs(np.minimum(1, held.optimum + tv) - accepted).max() < 1e-12
    # planted: the lossless rule alone, and the rule itself for its repair
    lossless = enumerated(rules.Single(), "iid", 1)
    assert worse(lossless, (law, accepted), held.p) == "accepts less"
    if name != "lenience":
        assert worse(published, (law, accepted), held.p)
