"""The battery: the pairs of laws that test every rule, so that no test chooses its own."""

from typing import NamedTuple

import numpy as np

from theory._arrays import Law

TIE = 1e-9  # relative distance of nearly equal probabilities
PEAK = 1e-7  # the mass beside a peak in `laws`
PEAKED = 48  # pairs of `drawn` with a peak each
NEAR = 16  # pairs of `drawn` whose p lies near q
REST = 0.5  # the most mass beside a peak in `drawn`
LEAST = 1e-4  # the least mass beside a peak in `drawn`


class Pair(NamedTuple):
    """A named pair of laws.

    Attributes:
      name: what is special about the pair.
      p: [V], target law.
      q: [V], draft law.
    """

    name: str
    p: Law
    q: Law


def laws(vocabulary: int, seed: int) -> list[Pair]:
    """One pair of laws of each kind that has broken a rule.

    The kinds are zeros, ties, peaks, tails, equal, disjoint and one-hot laws. Cost: O(V log V).

    Args:
      vocabulary: V, at least 2.
      seed: the same seed gives the same pairs.

    Returns:
      The pairs, each with laws [V].

    Raises:
      ValueError: V is below 2.
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
    skew = np.where(half, 1.0, 3.0)

    def draw(concentration: float = 1.0) -> Law:
        return rng.dirichlet(np.full(vocabulary, concentration))

    def on_half() -> Law:
        return _law(draw() * half)

    def on_all_but_one() -> Law:
        return _law(draw() * all_but_one)

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
        "zeros_in_p": (on_half(), draw()),
        "zeros_in_q": (draw(), on_half()),
        "one_zero_in_q": (draw(), on_all_but_one()),
        "shared_zeros": (on_all_but_one(), on_all_but_one()),
        "overlapping_zeros": (_law(draw() * ~half), on_all_but_one()),
        "disjoint": (on_half(), _law(draw() * ~half)),
        "equal": (base, base),
        "nearly_equal": (near(base), base),
        "equal_ratios": (_law(base * skew), base),
        "nearly_equal_ratios": (near(base * skew), base),
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

    In 48 pairs 1 - max q takes a random place in each of 48 steps of [1e-4, 1/2], which are equal
    in logarithms. So any interval that ends at 1.5 times its start holds a pair. The same holds for
    1 - max p, in another order. In 16 more pairs p lies near q. There the laws are Dirichlet of
    concentration 0.1 to 10.

    Args:
      vocabulary: V, at least 2.
      seed: the same seed gives the same pairs.

    Returns:
      The pairs, each with laws [V].
    """
    rng = np.random.default_rng((seed, vocabulary, PEAKED))

    def dirichlet(size: int) -> Law:
        return rng.dirichlet(np.full(size, 10.0 ** rng.uniform(-1, 1)))

    def peaks() -> list[Law]:
        found = []
        places = (rng.permutation(PEAKED) + rng.random(PEAKED)) / PEAKED
        for share in REST * (LEAST / REST) ** places:
            rest = share * dirichlet(vocabulary - 1)
            peak = rng.integers(vocabulary)
            found.append(_law(np.insert(rest, peak, 1.0 - share)))
        return found

    pairs = list(zip(peaks(), peaks(), strict=True))
    for _ in range(NEAR):
        q = dirichlet(vocabulary)
        share = 10.0 ** rng.uniform(-3, 0)
        p = _law((1.0 - share) * q + share * dirichlet(vocabulary))
        pairs.append((p, q))
    return [Pair(f"drawn_{place}", p, q) for place, (p, q) in enumerate(pairs)]


def _law(weights: Law) -> Law:
    law: Law = weights / weights.sum()
    return law
