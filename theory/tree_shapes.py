"""The best shape of a draft tree: when a child's chance depends on its slot alone, and by search
when the models are known.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import tree_lp, trees
from theory.problem import as_law
from theory.trees import ABSENT, TreeProblem, Verifier

Values = NDArray[np.float64]
Nested = tuple["Nested", ...]  # a node is the tuple of its children
Parents = tuple[int, ...]
Branching = tuple[int, ...]  # children of every node of each level
Node = TypeVar("Node")


@dataclass(frozen=True, eq=False)
class Positional:
    """The best trees of at most m nodes and depth l where the child in slot b is accepted with
    probability a_b, given that its parent is.

    Arguments:
      accepted: [depth + 1, nodes + 1], E[ell] of the best tree at (l, m); -inf at m = 0.
      arity: [depth + 1, nodes + 1], the children of its root.
      size: [depth + 1, B + 1, nodes + 1], the nodes at and below the last of b children, with m
        nodes in all.
    """

    accepted: Values
    arity: NDArray[np.int64]
    size: NDArray[np.int64]

    def parents(self, nodes: int, depth: int) -> Parents:
        """The best tree of at most `nodes` nodes, the root included, and at most `depth` drafts on
        a path.
        """
        return _level_order(self._tree(nodes, depth), _own)

    def fastest(self, scoring_cost: Callable[[int], float], draft_cost: float) -> tuple[int, int]:
        """The (nodes, depth) of most tokens per unit of time, (1 + E[ell]) / (c(nodes) + depth
        draft_cost).

        Arguments:
          scoring_cost: c(m), what the target takes for m tokens.
          draft_cost: what the draft takes for a level, in the same unit.
        """
        depths, sizes = self.accepted.shape
        cost = (
            np.array([scoring_cost(m) for m in range(1, sizes)])
            + draft_cost * np.arange(depths)[:, None]
        )
        depth, nodes = np.unravel_index(np.argmax((1.0 + self.accepted[:, 1:]) / cost), cost.shape)
        return int(nodes) + 1, int(depth)

    def _tree(self, nodes: int, depth: int) -> Nested:
        below: Nested = ()
        for slot in range(int(self.arity[depth, nodes]), 0, -1):
            size = int(self.size[depth, slot, nodes])
            below = (self._tree(size, depth - 1), *below)
            nodes = nodes - size
        return below


def sequoia(acceptance: ArrayLike, nodes: int, depth: int) -> Positional:
    """Sequoia's dynamic programme: T(m, l, b) = max_k T(m - k, l, b - 1) + a_b (1 + max_b' T(k, l -
    1, b')), T(m, l, 0) = 0.

    Arguments:
      acceptance: a [B], the chance of each slot of a node, at most B children.
      nodes: the largest m, the root included, at least 1.
      depth: the largest l, at least 0.
    Cost: O(depth B nodes^2), one table of nodes^2 at a time. Source: chen2024sequoia.
    """
    chances = _chances(acceptance)
    if nodes < 1 or depth < 0:
        raise ValueError(f"nodes, depth: expected at least 1 and 0, got {nodes} and {depth}")
    accepted = np.zeros((depth + 1, nodes + 1))
    arity = np.zeros(accepted.shape, np.int64)
    size = np.zeros((depth + 1, len(chances) + 1, nodes + 1), np.int64)
    accepted[:, 0] = -np.inf
    # m - k; where it is not positive, T is -inf
    rest = np.arange(nodes + 1)[:, None] - np.arange(nodes + 1)
    for level in range(1, depth + 1):
        best = [accepted[0]]
        for slot, chance in enumerate(chances, 1):
            gain = np.append(-np.inf, chance * (1.0 + accepted[level - 1, 1:]))
            options = best[-1][np.maximum(rest, 0)] + gain
            size[level, slot] = options.argmax(axis=1)
            best.append(options.max(axis=1))
        arity[level] = np.argmax(best, axis=0)
        accepted[level] = np.max(best, axis=0)
    return Positional(accepted, arity, size)


def best_first(acceptance: ArrayLike, nodes: int) -> Parents:
    """The tree grown by the node of largest path product, slot after slot: the best of `nodes`
    nodes where a_1 >= a_2 >= ..

    Cost: O(nodes log nodes). Source: chen2024sequoia.
    """
    chances = _chances(acceptance)
    reach = [1.0]
    below: list[list[int]] = [[]]
    queue: list[tuple[float, int, int]] = []  # minus the path product, the parent, the slot

    def offer(parent: int, slot: int) -> None:
        if slot < len(chances):
            heapq.heappush(queue, (-reach[parent] * chances[slot], parent, slot))

    offer(0, 0)
    while queue and len(below) < nodes:
        product, parent, slot = heapq.heappop(queue)
        node = len(below)
        below[parent].append(node)
        below.append([])
        reach.append(-product)
        offer(parent, slot + 1)
        offer(node, 0)
    return _level_order(0, below.__getitem__)


def constant_branching(acceptance: ArrayLike, drafts: int, depth: int) -> Branching:
    """The best b_1, b_2, .. of at most `drafts` drafts in which every node at depth d - 1 has b_d
    children.

    E[ell] = sum_d prod_{i <= d} A(b_i), A(b) = a_1 + .. + a_b. Cost: one step for each branching
    list that fits, sharing tails.
    """
    reach = np.cumsum(_chances(acceptance))

    @functools.cache
    def best(width: int, left: int, levels: int) -> tuple[float, Branching]:
        options: list[tuple[float, Branching]] = [(0.0, ())]
        for b in range(1, min(left // width, len(reach)) + 1 if levels else 1):
            below, rest = best(width * b, left - width * b, levels - 1)
            options.append((float(reach[b - 1]) * (1.0 + below), (b, *rest)))
        return max(options, key=lambda option: option[0])

    return best(1, drafts, depth)[1]


class Shape(NamedTuple):
    """A tree and its E[ell]."""

    accepted: float
    parents: Parents


def search(nodes: int, accepted: Callable[[Parents], float]) -> list[Shape]:
    """All shapes of `nodes` nodes, the root included, by falling E[ell]. Cost: Catalan(nodes - 1)
    evaluations.
    """
    return sorted(
        (Shape(accepted(parents), parents) for parents in shapes(nodes)),
        key=lambda shape: -shape.accepted,
    )


def joint_optimum(target: Values, draft: Values, scheme: str) -> Callable[[Parents], float]:
    """E[ell] of the best lossless verifier of a shape, for `search`. The tables [S, V] reach to
    depth nodes - 1.
    """
    return lambda parents: (
        tree_lp.solve(trees.drawn(TreeProblem(parents, target, draft, scheme))).value
    )


def accepted_by(
    verifier: Verifier,
    target: Values,
    draft: Values,
    scheme: str,
) -> Callable[[Parents], float]:
    """E[ell] of a verifier on a shape, by enumeration, for `search`. The tables [S, V] reach to
    depth nodes - 1.
    """

    def accepted(parents: Parents) -> float:
        drawn = trees.drawn(TreeProblem(parents, target, draft, scheme))
        return trees.expected_accepted(drawn, drawn.laws(verifier))

    return accepted


def shapes(nodes: int) -> Iterator[Parents]:
    """All rooted ordered trees of `nodes` nodes, each once."""
    return (_level_order(forest, _own) for forest in _forests(nodes - 1))


class LogMoments(NamedTuple):
    """Of -log p(y), y ~ p, averaged over laws: mu, the entropy in nats, and mu2, the second
    moment.
    """

    first: float
    second: float


def log_moments(laws: ArrayLike) -> LogMoments:
    """mu = mean of sum p (-log p) and mu2 = mean of sum p log^2 p, over laws [.., V]."""
    p = as_law("laws", laws)
    logs = np.log(np.where(p > 0, p, 1.0))
    return LogMoments(
        float(-(p * logs).sum(axis=-1).mean()), float((p * logs**2).sum(axis=-1).mean())
    )


def random_walk_limit(moments: LogMoments, nodes: int) -> float:
    """(mu + mu2) log(nodes) / mu^2, which E[ell] exceeds by no more than a constant if the tree is
    no function of chance.

    Doubling such a tree buys a constant. Drafts that are drawn are not bound by it: with q = p a
    path of any length is accepted whole. Source: arXiv 2512.11718.
    """
    return (moments.first + moments.second) * float(np.log(nodes)) / moments.first**2


def _chances(acceptance: ArrayLike) -> Values:
    chances = np.asarray(acceptance, np.float64)
    if chances.ndim != 1 or len(chances) == 0 or not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError(f"acceptance: expected probabilities, one per slot, got {acceptance!r}")
    return chances


def _forests(nodes: int) -> Iterator[Nested]:
    if nodes == 0:
        yield ()
    for first in range(1, nodes + 1):
        for tree in _forests(first - 1):
            for rest in _forests(nodes - first):
                yield (tree, *rest)


def _level_order(root: Node, below: Callable[[Node], Sequence[Node]]) -> Parents:
    """The parents of a tree's nodes, level by level."""
    parents = [ABSENT]
    queue = [root]
    for place, node in enumerate(queue):  # grows while it is read
        parents += [place] * len(below(node))
        queue += below(node)
    return tuple(parents)


def _own(tree: Nested) -> Nested:
    return tree
