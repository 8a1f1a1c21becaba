"""Couplings of drafts and output that accept as much as the flow between them."""

from dataclasses import dataclass

import numpy as np

from theory._arrays import Indices, Law, Values
from theory.drafting import Joint

ABSENT = -1


@dataclass(frozen=True, eq=False)
class DraftSets:
    """The joint law of the drafts merged by set.

    A rule's acceptance sees no more of a tuple than its set of distinct tokens.

    Attributes:
      members: [G, m], each row a set of tokens, ascending, with ABSENT in front of them.
      mass: [G], the probability of each set.
      index: [M], the set of each tuple of the joint law.
    """

    members: Indices
    mass: Law
    index: Indices


def merge(joint: Joint) -> DraftSets:
    """The joint law merged by set.

    Cost: one sort of the M tuples.

    Args:
      joint: M tuples of m tokens.

    Returns:
      The G sets.
    """
    ordered = np.sort(joint.tokens, axis=1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    ordered[:, 1:][repeated] = ABSENT
    members, index = np.unique(np.sort(ordered, axis=1), axis=0, return_inverse=True)
    index = index.reshape(-1)
    mass = np.bincount(index, joint.mass)
    return DraftSets(
        members=members,
        mass=np.asarray(mass, np.float64),
        index=index,
    )


@dataclass(frozen=True, eq=False)
class Coupling:
    """A lossless rule as a transport.

    flow[g, k] is the joint mass of the event that set g is drawn and its member k is emitted. What
    the flow leaves of p is the residual, which is emitted if no member is.

    Attributes:
      sets: the drafts by set.
      flow: [G, m], zero if a member is absent.
      residual: [V], p minus the column sums of the flow.
    """

    sets: DraftSets
    flow: Values
    residual: Values

    @property
    def acceptance(self) -> float:
        """The mass of the flow."""
        return float(self.flow.sum())

    def laws(self) -> Law:
        """K[x, :] for each tuple of the joint law, [M, V].

        It is flow / Q on the members; the normalised residual takes the rest. Cost: O(M V) in
        memory.
        """
        sets = self.sets
        mass = sets.mass[:, None]
        accept = np.divide(
            self.flow,
            mass,
            out=np.zeros_like(self.flow),
            where=mass > 0,
        )
        rejected = np.maximum(1.0 - accept.sum(axis=1), 0.0)
        laws = np.outer(rejected, normalised(self.residual))
        rows, slots = np.nonzero(sets.members != ABSENT)
        laws[rows, sets.members[rows, slots]] += accept[rows, slots]
        return laws[sets.index]


def normalised(residual: Values) -> Law:
    """The residual as a law; the flat law if nothing is left, since it is then never drawn from.

    Args:
      residual: [V], at least 0.

    Returns:
      The law [V].
    """
    total = float(residual.sum())
    if total > 0:
        return residual / total
    return np.full(len(residual), 1.0 / len(residual))


def feasible(flow: Values, sets: DraftSets, p: Law) -> Coupling:
    """The coupling nearest below a flow that a solver left feasible only up to its tolerance.

    Negative entries are cut. Then tokens are scaled to use at most p, then sets to use at most
    their mass.

    Args:
      flow: [G, m].
      sets: the drafts by set.
      p: target law [V].

    Returns:
      A coupling that is feasible up to rounding.
    """
    present = sets.members != ABSENT
    flow = np.where(present, np.maximum(flow, 0.0), 0.0)

    def used(flow: Values) -> Values:
        counts = np.bincount(sets.members[present], flow[present], len(p))
        return np.asarray(counts, np.float64)

    tokens = _shrink(p, used(flow))
    flow = flow * np.where(present, tokens[sets.members], 0.0)
    flow = flow * _shrink(sets.mass, flow.sum(axis=1))[:, None]
    return Coupling(sets, flow, np.maximum(p - used(flow), 0.0))


def _shrink(limit: Values, used: Values) -> Values:
    """min(1, limit / used)."""
    return np.divide(
        limit,
        used,
        out=np.ones_like(used),
        where=used > limit,
    )
