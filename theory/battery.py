"""The battery: the pairs of laws by which every rule is judged, so that no test chooses its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Law = NDArray[np.float64]
TIE, PEAK = 1e-9, 1e-7
PEAKED, NEAR = 48, 16  # pairs of `drawn`
REST, LEAST = 0.5, 1e-4  # of 1 - the largest probability there


class Pair(NamedTuple):
    """A named target law p [V] and draft law q [V]."""

    name: str
    p: Law
    q: Law


def laws(vocabulary: int, seed: int) -> list[Pair]:
    """One pair of laws of each kind that has broken a rule: zeros, ties, peaks, tails, equal,
    disjoint and one-hot laws.

    Arguments:
      vocabulary: V, at least 2.
      seed: the same seed gives the same pairs.
    Raises:
      ValueError: V is below 2.
    Cost: O(V log V).
    """
    if vocabulary < 2:
        raise ValueError(f"vocabulary: expected at least 2 tokens, got {vocabulary}")
    rng = np.random.default_rng((seed, vocabulary))
    rank = rng.permutation(vocabulary).astype(np.float64)
    half = rank < vocabulary // 2
    all_but_one = rank > 0
    hot = (rank == 0).astype(np.float64)
    other = (rank == 1).astype(np.float64)
    flat = np.full(vocabulary, 1.0 / vocabulary)
    zipf = _law(1.0 / (1.0 + rank))
    tail = _law(10.0 ** (-30.0 * rank / (vocabulary - 1)))

    def draw(concentration: float = 1.0) -> Law:
        return rng.dirichlet(np.full(vocabulary, concentration))

    def near(law: Law) -> Law:
        return _law(law * (1.0 + TIE * rng.standard_normal(vocabulary)))

    def peaked(law: Law) -> Law:
        return _law((1.0 - PEAK) * law + PEAK * draw())

    base = draw()
    pairs = {
        "dirichlet": (draw(), draw()),
        "dirichlet_sparse": (draw(0.1), draw(0.1)),
        "dirichlet_even": (draw(10.0), draw(10.0)),
        "sparse_against_even": (draw(0.1), draw(10.0)),
        "zeros_in_p": (_law(draw() * half), draw()),
        "zeros_in_q": (draw(), _law(draw() * half)),
        "one_zero_in_q": (draw(), _law(draw() * all_but_one)),
        "shared_zeros": (_law(draw() * all_but_one), _law(draw() * all_but_one)),
        "overlapping_zeros": (_law(draw() * ~half), _law(draw() * all_but_one)),
        "disjoint": (_law(draw() * half), _law(draw() * ~half)),
        "equal": (base, base),
        "nearly_equal": (near(base), base),
        "equal_ratios": (_law(base * np.where(half, 1.0, 3.0)), base),
        "nearly_equal_ratios": (near(base * np.where(half, 1.0, 3.0)), base),
        "tied_probabilities": (draw(), _law(np.where(half, 2.0, 1.0))),
        "one_hot_p": (hot, draw()),
        "one_hot_q": (draw(), hot),
        "one_hot_same": (hot, hot),
        "one_hot_apart": (hot, other),
        "peaked_p": (peaked(hot), draw()),
        "peaked_q": (draw(), peaked(hot)),
        "peaked_same": (peaked(hot), peaked(hot)),
        "peaked_apart": (peaked(hot), peaked(other)),
        "flat_p": (flat, draw()),
        "flat_q": (draw(), flat),
        "flat_same": (flat, flat),
        "zipf": (zipf, _law(zipf**2)),
        "zipf_against_flat": (zipf, flat),
        "vanishing_tail": (tail, near(tail)),
        "vanishing_tail_in_q": (draw(), tail),
    }
    return [Pair(name, p, q) for name, (p, q) in pairs.items()]


def drawn(vocabulary: int, seed: int) -> list[Pair]:
    """Fresh pairs whose peaks have every height, for faults that live between the pairs of `laws`.

    1 - max q takes a random place in each of 48 equal steps, in logarithms, of [1e-4, 1/2]:
    whatever an interval is that is 1.5 times as high as it is low, it holds a pair. So does 1 - max
    p, in another order. 16 more pairs are Dirichlet laws of concentration 0.1 to 10, and p lies
    near q there.

    Arguments:
      vocabulary: V, at least 2.
      seed: the same seed gives the same pairs.
    """
    rng = np.random.default_rng((seed, vocabulary, PEAKED))

    def dirichlet(size: int) -> Law:
        return rng.dirichlet(np.full(size, 10.0 ** rng.uniform(-1, 1)))

    def peaks() -> list[Law]:
        rest = REST * (LEAST / REST) ** ((rng.permutation(PEAKED) + rng.random(PEAKED)) / PEAKED)
        return [
            _law(
                np.insert(share * dirichlet(vocabulary - 1), rng.integers(vocabulary), 1.0 - share)
            )
            for share in rest
        ]

    pairs = list(zip(peaks(), peaks(), strict=True))
    for _ in range(NEAR):
        q = dirichlet(vocabulary)
        share = 10.0 ** rng.uniform(-3, 0)
        pairs.append((_law((1.0 - share) * q + share * dirichlet(vocabulary)), q))
    return [Pair(f"drawn_{place}", p, q) for place, (p, q) in enumerate(pairs)]


def _law(weights: Law) -> Law:
    return weights / weights.sum()
