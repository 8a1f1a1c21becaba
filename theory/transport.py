"""Couplings of drafts and output that accept as much as the flow between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.drafting import Joint

ABSENT = -1


@dataclass(frozen=True, eq=False)
class DraftSets:
    """The joint law of the drafts merged by set: a rule's acceptance sees no more of a tuple than
    its set of distinct tokens.

    Arguments:
      members: [G, m], each row a set of tokens, ascending, filled up in front with ABSENT.
      mass: [G], the probability of each set.
      index: [M], the set of each tuple of the joint law.
    """

    members: NDArray[np.int64]
    mass: NDArray[np.float64]
    index: NDArray[np.int64]


def merge(joint: Joint) -> DraftSets:
    """The joint law merged by set. Cost: one sort of the M tuples."""
    ordered = np.sort(joint.tokens, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = ABSENT
    members, index = np.unique(np.sort(ordered, axis=1), axis=0, return_inverse=True)
    index = index.reshape(-1)
    return DraftSets(members, np.asarray(np.bincount(index, joint.mass), np.float64), index)


@dataclass(frozen=True, eq=False)
class Coupling:
    """A lossless rule as a transport: flow[g, k] is the joint mass of set g drawn and its member k
    emitted.

    What the flow leaves of p is the residual, emitted where no member is.

    Arguments:
      sets: the drafts by set.
      flow: [G, m], zero where a member is absent.
      residual: [V], p minus the column sums of the flow.
    """

    sets: DraftSets
    flow: NDArray[np.float64]
    residual: NDArray[np.float64]

    @property
    def acceptance(self) -> float:
        """The mass of the flow."""
        return float(self.flow.sum())

    def laws(self) -> NDArray[np.float64]:
        """K[x, :] for each tuple of the joint law, [M, V]: flow / Q on the members, the rest by the
        normalised residual.

        Cost: O(M V) in memory.
        """
        sets = self.sets
        law = normalised(self.residual)
        accept = np.divide(
            self.flow,
            sets.mass[:, None],
            out=np.zeros_like(self.flow),
            where=sets.mass[:, None] > 0,
        )
        laws = np.outer(np.maximum(1.0 - accept.sum(axis=1), 0.0), law)
        rows, slots = np.nonzero(sets.members != ABSENT)
        laws[rows, sets.members[rows, slots]] += accept[rows, slots]
        return laws[sets.index]


def normalised(residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The residual as a law; where nothing is left (then it is never drawn from) the flat one."""
    total = residual.sum()
    return residual / total if total > 0 else np.full(len(residual), 1.0 / len(residual))


def feasible(flow: NDArray[np.float64], sets: DraftSets, p: NDArray[np.float64]) -> Coupling:
    """The coupling nearest below a flow that a solver left feasible only up to its tolerance.

    Negative entries are cut, then tokens are scaled to use at most p, then sets to use at most
    their mass.
    """
    present = sets.members != ABSENT
    flow = np.where(present, np.maximum(flow, 0.0), 0.0)

    def used(flow: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(sets.members[present], flow[present], len(p)), np.float64)

    flow = flow * np.where(present, _shrink(p, used(flow))[sets.members], 0.0)
    flow = flow * _shrink(sets.mass, flow.sum(axis=1))[:, None]
    return Coupling(sets, flow, np.maximum(p - used(flow), 0.0))


def _shrink(limit: NDArray[np.float64], used: NDArray[np.float64]) -> NDArray[np.float64]:
    """min(1, limit / used)."""
    return np.divide(limit, used, out=np.ones_like(used), where=used > limit)
