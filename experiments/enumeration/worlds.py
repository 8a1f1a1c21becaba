"""Families of laws for draft trees: a pair (p, q) for every context, all of them positive."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import theory

Law = NDArray[np.float64]
Pair = tuple[Law, Law]

WIDE = 2.0  # standard deviation of logits that vary
STEEP, NOISE = 4.0, 2.0  # of the logits of a peaked p, and of q's distance from them
ZIPF = 1.5  # exponent


def near(share: float) -> Callable[[np.random.Generator, int], Pair]:
    """q = (1 - share) p + share r, with r as random as p."""

    def pair(rng: np.random.Generator, vocabulary: int) -> Pair:
        p, r = rng.dirichlet(np.ones(vocabulary), 2)
        return p, (1 - share) * p + share * r

    return pair


def temperature(rng: np.random.Generator, vocabulary: int) -> Pair:
    """The same logits, at temperature 1 for p and 2 for q."""
    logits = WIDE * rng.standard_normal(vocabulary)
    return _softmax(logits), _softmax(logits / 2)


def peaked(rng: np.random.Generator, vocabulary: int) -> Pair:
    """Steep logits, and the same with noise."""
    logits = STEEP * rng.standard_normal(vocabulary)
    return _softmax(logits), _softmax(logits + NOISE * rng.standard_normal(vocabulary))


def zipf(rng: np.random.Generator, vocabulary: int) -> Pair:
    """p falls as rank^-1.5; q too, with two neighbouring ranks exchanged."""
    order = rng.permutation(vocabulary)
    ranked = np.arange(1.0, vocabulary + 1) ** -ZIPF
    exchanged = order.copy()
    place = int(rng.integers(vocabulary - 1))
    exchanged[[place, place + 1]] = order[[place + 1, place]]
    p = np.empty(vocabulary)
    q = np.empty(vocabulary)
    p[order], q[exchanged] = ranked / ranked.sum(), ranked / ranked.sum()
    return p, q


PAIRS = {
    "random": near(1.0),
    "near_30": near(0.3),
    "near_10": near(0.1),
    "temperature": temperature,
    "peaked": peaked,
    "zipf": zipf,
}


def names() -> tuple[str, ...]:
    """The names of all families; `constant` has one random pair after every context, the others a
    new pair after each.
    """
    return ("constant", *PAIRS)


def problem(
    family: str,
    parents: tuple[int, ...],
    vocabulary: int,
    scheme: str,
    seed: int,
) -> theory.TreeProblem:
    """A tree under a family; one seed gives one pair of a family after a context, whatever the tree
    and the scheme.

    Raises:
      ValueError: there is no such family.
    """
    if family not in names():
        raise ValueError(f"unknown family {family!r}: expected one of {', '.join(names())}")
    rows = theory.trees.contexts_within(vocabulary, max(theory.trees.depths(parents)))
    pair = PAIRS.get(family, PAIRS["random"])
    contexts = [0] * rows if family == "constant" else range(rows)
    stream = (seed, names().index(family), vocabulary)
    streams = (np.random.default_rng((*stream, context)) for context in contexts)
    laws = np.array([pair(rng, vocabulary) for rng in streams])
    return theory.TreeProblem(parents, laws[:, 0], laws[:, 1], scheme)


def _softmax(logits: Law) -> Law:
    weights = np.exp(logits - logits.max())
    law: Law = weights / weights.sum()
    return law
