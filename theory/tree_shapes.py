"""The best shape of a draft tree.

It is found by a programme if a child's chance depends on its slot alone, and by search if the
models are known.
"""

import functools
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from theory import tree_lp, trees
from theory._arrays import Indices, Law, Values
from theory.trees import ABSENT, TreeProblem

Nested = tuple["Nested", ...]  # a node is the tuple of its children
Parents = tuple[int, ...]
Branching = tuple[int, ...]  # children of every node of each level
Node = TypeVar("Node")


@dataclass(frozen=True, eq=False)
class Positional:
    """The best trees of at most m nodes and depth l if acceptance depends on the slot alone.

    The child in slot b is accepted with probability a_b, given that its parent is.

    Attributes:
      accepted: [depth + 1, nodes + 1], E[ell] of the best tree at (l, m); -inf at m = 0.
      arity: [depth + 1, nodes + 1], the children of its root.
      size: [depth + 1, B + 1, nodes + 1], the nodes at and below the last of b children, with m
        nodes in all.
    """

    accepted: Values
    arity: Indices
    size: Indices

    def parents(self, nodes: int, depth: int) -> Parents:
        """The best tree of at most `nodes` nodes and at most `depth` drafts on a path.

        Args:
          nodes: with the root, at most that of the table.
          depth: at most that of the table.

        Returns:
          The node above each node, in level order.
        """
        return _level_order(self._tree(nodes, depth), _own)

    def fastest(self, scoring_cost: Callable[[int], float], draft_cost: float) -> tuple[int, int]:
        """The tree of most tokens per unit of time, (1 + E[ell]) / (c(nodes) + depth draft_cost).

        Args:
          scoring_cost: c(m), what the target takes for m tokens.
          draft_cost: what the draft takes for a level, in the same unit.

        Returns:
          Its nodes and depth.
        """
        depths, sizes = self.accepted.shape
        scoring = np.array([scoring_cost(m) for m in range(1, sizes)])
        cost = scoring + draft_cost * np.arange(depths)[:, None]
        speeds = (1.0 + self.accepted[:, 1:]) / cost
        depth, nodes = np.unravel_index(np.argmax(speeds), cost.shape)
        return int(nodes) + 1, int(depth)

    def _tree(self, nodes: int, depth: int) -> Nested:
        below: Nested = ()
        for slot in range(int(self.arity[depth, nodes]), 0, -1):
            size = int(self.size[depth, slot, nodes])
            below = (self._tree(size, depth - 1), *below)
            nodes = nodes - size
        return below


def sequoia(acceptance: ArrayLike, nodes: int, depth: int) -> Positional:
    """Sequoia's dynamic programme for the best trees.

    It is T(m, l, b) = max_k T(m - k, l, b - 1) + a_b (1 + max_b' T(k, l - 1, b')), T(m, l, 0) = 0.
    Cost: O(depth B nodes^2), one table of nodes^2 at a time. Source: chen2024sequoia.

    Args:
      acceptance: a [B], the chance of each slot of a node, at most B children.
      nodes: the largest m, the root included, at least 1.
      depth: the largest l, at least 0.

    Returns:
      The table of the best trees.

    Raises:
      ValueError: acceptance is no list of probabilities, or nodes or depth is out of its range.

    Example:
      >>> from theory import tree_shapes
      >>> tree_shapes.sequoia([0.6, 0.3], nodes=4, depth=2).parents(4, 2)
      (-1, 0, 0, 1)
    """
    chances = _chances(acceptance)
    if nodes < 1 or depth < 0:
        raise ValueError(f"nodes, depth: expected at least 1 and 0, got {nodes} and {depth}")
    accepted = np.zeros((depth + 1, nodes + 1))
    arity = np.zeros(accepted.shape, np.int64)
    size = np.zeros((depth + 1, len(chances) + 1, nodes + 1), np.int64)
    accepted[:, 0] = -np.inf
    sizes = np.arange(nodes + 1)
    # m - k; where it is not positive, T is -inf
    rest = np.maximum(sizes[:, None] - sizes, 0)
    for level in range(1, depth + 1):
        best = [accepted[0]]
        below = 1.0 + accepted[level - 1, 1:]
        for slot, chance in enumerate(chances, 1):
            gain = np.append(-np.inf, chance * below)
            options = best[-1][rest] + gain
            size[level, slot] = options.argmax(axis=1)
            best.append(options.max(axis=1))
        arity[level] = np.argmax(best, axis=0)
        accepted[level] = np.max(best, axis=0)
    return Positional(
        accepted=accepted,
        arity=arity,
        size=size,
    )


def best_first(acceptance: ArrayLike, nodes: int) -> Parents:
    """The tree grown by the node of largest path product, slot after slot.

    It is the best of `nodes` nodes if a_1 >= a_2 >= ... Cost: O(nodes log nodes). Source:
    chen2024sequoia.

    Args:
      acceptance: a [B], the chance of each slot of a node.
      nodes: of the tree, the root included, at least 1.

    Returns:
      The node above each node, in level order.

    Raises:
      ValueError: acceptance is no list of probabilities.
    """
    chances = _chances(acceptance)
    reach = [1.0]
    below: list[list[int]] = [[]]
    queue: list[tuple[float, int, int]] = []  # minus the path product, the parent, the slot

    def offer(parent: int, slot: int) -> None:
        if slot < len(chances):
            product = -reach[parent] * chances[slot]
            heapq.heappush(queue, (product, parent, slot))

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
    """The best b_1, b_2, .. for trees in which every node at depth d - 1 has b_d children.

    E[ell] = sum_d prod_{i <= d} A(b_i), A(b) = a_1 + .. + a_b. Cost: one step for each branching
    list that fits, sharing tails.

    Args:
      acceptance: a [B], the chance of each slot of a node.
      drafts: the most drafts of the tree, at least 0.
      depth: the most levels, at least 0.

    Returns:
      The children of every node of each level.

    Raises:
      ValueError: acceptance is no list of probabilities.
    """
    reach = np.cumsum(_chances(acceptance))

    @functools.cache
    def best(width: int, left: int, levels: int) -> tuple[float, Branching]:
        options: list[tuple[float, Branching]] = [(0.0, ())]
        widest = 0
        if levels:
            widest = min(left // width, len(reach))
        for b in range(1, widest + 1):
            wider = width * b
            below, rest = best(wider, left - wider, levels - 1)
            accepted = float(reach[b - 1]) * (1.0 + below)
            options.append((accepted, (b, *rest)))
        return max(options, key=lambda option: option[0])

    return best(1, drafts, depth)[1]


class Shape(NamedTuple):
    """A tree and its E[ell].

    Attributes:
      accepted: E[ell].
      parents: the node above each node, in level order.
    """

    accepted: float
    parents: Parents


def search(nodes: int, accepted: Callable[[Parents], float]) -> list[Shape]:
    """All shapes of `nodes` nodes, the root included, by falling E[ell].

    Cost: Catalan(nodes - 1) evaluations.

    Args:
      nodes: at least 1.
      accepted: E[ell] of a shape, e.g. `joint_optimum(..)`.

    Returns:
      The shapes, the best first.
    """
    found = [Shape(accepted(parents), parents) for parents in shapes(nodes)]
    return sorted(found, key=lambda shape: -shape.accepted)


def joint_optimum(target: Law, draft: Law, scheme: str) -> Callable[[Parents], float]:
    """E[ell] of the best lossless verifier of a shape, for `search`.

    Args:
      target: [S, V], to depth nodes - 1.
      draft: [S, V], to depth nodes - 1.
      scheme: one of `theory.drafting.names()`.

    Returns:
      A function of the node above each node.
    """

    def accepted(parents: Parents) -> float:
        problem = TreeProblem(parents, target, draft, scheme)
        return tree_lp.solve(trees.drawn(problem)).value

    return accepted


def shapes(nodes: int) -> Iterator[Parents]:
    """All rooted ordered trees of `nodes` nodes, each once.

    Args:
      nodes: at least 1.

    Returns:
      The node above each node, in level order, of one tree after the other.
    """
    return (_level_order(forest, _own) for forest in _forests(nodes - 1))


class LogMoments(NamedTuple):
    """Moments of -log p(y), y ~ p, averaged over laws.

    Attributes:
      first: mu, the entropy in nats.
      second: mu2, the second moment.
    """

    first: float
    second: float


def random_walk_limit(moments: LogMoments, nodes: int) -> float:
    """(mu + mu2) log(nodes) / mu^2, a limit of E[ell] for trees that are no function of chance.

    E[ell] exceeds it by no more than a constant. Doubling such a tree buys a constant. Drafts that
    are drawn are not bound by it: with q = p a path of any length is accepted whole. Source: arXiv
    2512.11718.

    Args:
      moments: of the target law.
      nodes: of the tree, at least 1.

    Returns:
      The limit, without the constant.
    """
    scale = moments.first + moments.second
    return scale * float(np.log(nodes)) / moments.first**2


def _chances(acceptance: ArrayLike) -> Values:
    chances = np.asarray(acceptance, np.float64)
    inside = (chances >= 0) & (chances <= 1)
    if chances.ndim != 1 or len(chances) == 0 or not inside.all():
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
