"""Independent paths: the largest of them by p/q, its law, and what a block of it accepts.

A path is compared token by token: first by p/q, then by the token itself.
"""

from typing import NamedTuple

import numpy as np

from theory._arrays import Indices, Law, Values
from theory.contexts import ROOT, children, depths, levels
from theory.tree_problems import TreeProblem
from theory.trees import Tree


class Selected(NamedTuple):
    """The selected path.

    Attributes:
      nodes: its nodes in the drawn tree, from the root.
      path: the path as a tree of its own, in which the law of the next token is the path's own.
    """

    nodes: list[int]
    path: Tree


def selected(tree: Tree) -> Selected:
    """The largest of n independent paths, among those that go deepest.

    Let L be the q mass of the prefixes below the selected one, Q its own mass, and F(x) the q mass
    of the tokens before x in the next row. The next token has the law
    r(x) = [(L + Q (F + q)(x))^n - (L + Q F(x))^n] / [(L + Q)^n - L^n]. Source: thomas2026greedy.

    Args:
      tree: n independent paths, each with nodes of its own or merged at the prefixes they share.

    Returns:
      The path.
    """
    depth = _height(tree, ROOT)
    n = _ends(tree, ROOT, depth)
    lower = 0.0
    own = 1.0
    equal = [ROOT]
    laws = []
    for left in range(depth - 1, -1, -1):
        p = tree.p[equal[0]]
        q = tree.q[equal[0]]
        before = _before(p, q)
        start = lower + own * before
        laws.append(q * _powers(start + own * q, start, n) / _powers(lower + own, lower, n))
        below = [int(child) for node in equal for child in tree.below(node)]
        longest = [child for child in below if _height(tree, child) == left]
        token = max(tree.tokens[longest], key=list(_order(p, q)).index)
        equal = [child for child in longest if tree.tokens[child] == token]
        lower += own * float(before[token])
        own *= float(q[token])
    nodes = [equal[0]]
    while nodes[0] != ROOT:
        nodes.insert(0, int(tree.parents[nodes[0]]))
    laws.append(tree.q[equal[0]])
    path = Tree(
        parents=np.arange(depth + 1) - 1,
        tokens=tree.tokens[nodes],
        active=tree.active[nodes],
        p=tree.p[nodes],
        q=np.array(laws),
        scheme=tree.scheme,
    )
    return Selected(nodes, path)


def accepted(problem: TreeProblem) -> float:
    """E[ell] of block verification of the selected path.

    A prefix s is selected with mass R(s) = (L + Q)^n - L^n. The mass that passes it is
    F(s y) = min(R(s y), F(s) p(y | s)), and E[ell] is the sum of F. Cost: O(n V^D). Source:
    thomas2026greedy.

    Args:
      problem: n paths of D drafts that part at the root.

    Returns:
      The expectation, in [0, D].

    Raises:
      ValueError: the tree has another shape.
    """
    n = _paths(problem)
    lower = np.zeros(1)
    own = passed = np.ones(1)
    total = 0.0
    for level in levels(problem.target)[:-1]:
        p = problem.target[level]
        q = problem.draft[level]
        pairs = zip(p, q, strict=True)
        before = np.array([_before(*pair) for pair in pairs])
        under = own[:, None] * before
        lower = (lower[:, None] + under).ravel()
        own = (own[:, None] * q).ravel()
        chosen = own * _powers(lower + own, lower, n)
        reached = passed[:, None] * p
        passed = np.minimum(chosen, reached.ravel())
        total += float(passed.sum())
    return total


def _paths(problem: TreeProblem) -> int:
    """How many paths part at the root."""
    below = children(problem.parents)
    n = len(below[ROOT])
    single = all(len(found) <= 1 for found in below[1:])
    nodes = 1 + n * max(depths(problem.parents))
    if not single or len(problem.parents) != nodes:
        raise ValueError(
            f"parents: expected paths of one length that part at the root, got "
            f"{list(problem.parents)}"
        )
    return n


def _height(tree: Tree, node: int) -> int:
    """How many drafts follow a node, on the longest way down."""
    return max((1 + _height(tree, int(child)) for child in tree.below(node)), default=0)


def _ends(tree: Tree, node: int, depth: int) -> int:
    """How many nodes there are so far below a node."""
    if depth == 0:
        return 1
    return sum(_ends(tree, int(child), depth - 1) for child in tree.below(node))


def _order(p: Law, q: Law) -> Indices:
    """The tokens by p/q, then by themselves; those that are never drawn have the ratio 0."""
    ratio = np.divide(p, q, out=np.zeros_like(q), where=q > 0)
    return np.lexsort((np.arange(len(q)), ratio))


def _before(p: Law, q: Law) -> Values:
    """The q mass of the tokens before each token."""
    order = _order(p, q)
    before = np.zeros_like(q)
    before[order] = np.cumsum(q[order]) - q[order]
    return before


def _powers(high: Values | float, low: Values | float, n: int) -> Values:
    """(high^n - low^n) / (high - low), as the sum of n products."""
    return np.asarray(sum(high**k * low ** (n - 1 - k) for k in range(n)))
