"""Every scheme's joint law against its definition, in exact rational arithmetic where it is written
out again here.
"""

import itertools
from fractions import Fraction
from math import prod

import numpy as np
import pytest

from theory import Problem, battery, drafting


def problem(scheme: str, pair: battery.Pair, n: int) -> Problem:
    q = np.stack([pair.q, pair.p] * n)[:n] if scheme == "independent" else pair.q
    return Problem(pair.p, q, n, scheme)


def lengths(scheme: str) -> tuple[int, ...]:
    return (2,) if scheme == "hub" else (1, 2, 3)


def cases():
    return [(scheme, n, v) for scheme in drafting.names() for n in lengths(scheme) for v in (2, 5)]


def exact(law) -> list[Fraction]:
    weights = [Fraction(float(x)) for x in law]
    return [w / sum(weights) for w in weights]


def ranked(q: list[Fraction]) -> list[int]:
    return sorted(range(len(q)), key=lambda i: (-q[i], i))


def iid(q, n):
    return {x: prod(q[i] for i in x) for x in itertools.product(range(len(q)), repeat=n)}


def without_replacement(q, n):
    drawn = [i for i in range(len(q)) if q[i] > 0]
    tuples = itertools.permutations(drawn, min(n, len(drawn)))
    return {x: prod(q[i] / (1 - sum(q[j] for j in x[:k])) for k, i in enumerate(x)) for x in tuples}


def greedy(q, n):
    live = min(n, sum(w > 0 for w in q))
    first = tuple(ranked(q)[: live - 1])
    rest = ranked(q)[live - 1 :]
    return {(*first, i): q[i] / sum(q[j] for j in rest) for i in rest}


def hub(q, n):
    a = ranked(q)[0]
    if q[a] == 1:
        return {(a, a): q[a]}
    others = [i for i in range(len(q)) if i != a]
    return {(i, a): q[i] for i in others} | {(a, i): q[a] * q[i] / (1 - q[a]) for i in others}


def top_n(q, n):
    return {tuple(i for i in ranked(q)[:n] if q[i] > 0): Fraction(1)}


def independent(q, n):
    return {
        x: prod(q[k][i] for k, i in enumerate(x))
        for x in itertools.product(range(len(q[0])), repeat=n)
    }


def table(joint) -> dict[tuple[int, ...], float]:
    return dict(zip(map(tuple, joint.tokens.tolist()), joint.mass, strict=True))


def distance(joint, reference) -> float:
    got = table(joint)
    return max(
        abs(got.get(x, 0.0) - float(reference.get(x, 0))) for x in got.keys() | reference.keys()
    )


@pytest.mark.parametrize(("scheme", "n", "v"), cases())
def test_joint_is_the_definition(scheme, n, v):
    definition = globals().get(scheme)
    if definition is None:
        pytest.skip(
            f"no second definition of {scheme} is written here; the properties below still hold it"
        )
    worst = 0.0
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        q = [exact(law) for law in case.q] if scheme == "independent" else exact(case.q)
        worst = max(worst, distance(case.joint(), definition(q, n)))
    print(f"largest error of a probability {worst:.1e}")
    assert worst < 1e-15 * v**n


@pytest.mark.parametrize(("scheme", "n", "v"), cases())
def test_joint_is_a_law_on_the_support(scheme, n, v):
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        joint = case.joint()
        live = drafting.get(scheme).live(case.q, n)
        rows = list(map(tuple, joint.tokens.tolist()))
        assert joint.tokens.shape == (len(joint.mass), live), pair.name
        assert rows == sorted(set(rows)), f"{pair.name}: rows must be distinct and sorted"
        assert abs(joint.mass.sum() - 1) < 1e-14, pair.name
        slots = np.broadcast_to(case.q, (n, v))
        assert (slots[np.arange(live), joint.tokens] > 0).all(), (
            f"{pair.name}: a token with q = 0 was drawn"
        )


@pytest.mark.parametrize(("scheme", "n", "v"), cases())
def test_inclusion_is_the_enumerated_one(scheme, n, v):
    worst = 0.0
    for pair in battery.laws(v, seed=n):
        case = problem(scheme, pair, n)
        joint = case.joint()
        included = drafting.get(scheme).inclusion(case.q, n)
        enumerated = [joint.mass @ (joint.tokens == token).any(axis=1) for token in range(v)]
        worst = max(worst, np.abs(included - enumerated).max())
    print(f"largest error of an inclusion probability {worst:.1e}")
    assert worst < 1e-14


def test_hub_is_greedy_without_order():
    for pair in battery.laws(5, seed=0):
        unordered = [{}, {}]
        for merged, scheme in zip(unordered, ("hub", "greedy"), strict=True):
            for x, mass in table(problem(scheme, pair, 2).joint()).items():
                key = frozenset(x)
                merged[key] = merged.get(key, 0.0) + mass
        hub_law, greedy_law = unordered
        assert (
            max(
                abs(hub_law.get(x, 0.0) - greedy_law.get(x, 0.0))
                for x in hub_law.keys() | greedy_law.keys()
            )
            < 1e-15
        ), pair.name


def test_a_wrong_joint_law_is_caught():
    pair = battery.laws(5, seed=0)[0]
    q = exact(pair.q)
    assert distance(problem("iid", pair, 2).joint(), without_replacement(q, 2)) > 1e-3
    assert distance(problem("without_replacement", pair, 3).joint(), iid(q, 3)) > 1e-3
    forgot_to_renormalise = {x: prod(q[i] for i in x) for x in itertools.permutations(range(5), 2)}
    assert distance(problem("without_replacement", pair, 2).joint(), forgot_to_renormalise) > 1e-3


def test_names_are_the_files():
    assert "_base" not in drafting.names()
    assert "_template" not in drafting.names()
    assert list(drafting.names()) == sorted(drafting.names())
    for name in drafting.names():
        assert drafting.get(name).__name__ == f"theory.drafting.{name}"


@pytest.mark.parametrize("size", [(1300, 3), (2_000_001, 1)])
def test_a_joint_law_too_large_is_refused(size):
    vocabulary, n = size
    flat = np.full(vocabulary, 1 / vocabulary)
    with pytest.raises(ValueError, match="2000000 tuples"):
        Problem(flat, flat, n, "iid").joint()


def test_masked_vocabulary_costs_nothing():
    q = np.zeros(50_000)
    q[[3, 70, 40_000]] = 0.2, 0.5, 0.3
    joint = Problem(np.full(50_000, 1 / 50_000), q, 4, "without_replacement").joint()
    assert joint.tokens.shape == (6, 3)
    assert set(joint.tokens.ravel()) == {3, 70, 40_000}
