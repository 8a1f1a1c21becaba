"""Draft trees by enumeration.

The module gives every tree that can be drawn, and the exact law of what a verifier emits on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from theory import drafting
from theory._arrays import Indices, Law, Mask, Values
from theory.checks import TOLERANCE, Check, is_law
from theory.contexts import ABSENT, ROOT, children, contexts_within, depths, levels
from theory.drafting import Joint
from theory.tree_problems import TreeProblem, everywhere, mixed, random

__all__ = [
    "ABSENT",
    "ENUMERABLE",
    "ROOT",
    "Drawn",
    "NodeRule",
    "Tree",
    "TreeProblem",
    "Verifier",
    "children",
    "contexts_within",
    "depths",
    "drawn",
    "emitted",
    "everywhere",
    "expected_accepted",
    "fixed_tree_bound",
    "is_lossless",
    "levels",
    "loss",
    "mixed",
    "random",
]

ENUMERABLE = 500_000


class Tree(NamedTuple):
    """One drawn tree, as a verifier sees it.

    A verifier gives [N, V], the probability that the walk ends at node i and emits y next.

    Attributes:
      parents: [N], the node above each node; row 0 is the root.
      tokens: [N]; those of the root and of inactive nodes are not read.
      active: [N], which nodes were drawn; what other nodes hold is not read.
      p: [N, V], the target law of what follows each node.
      q: [N, V], the draft law of what follows each node.
      scheme: how the children of a node were drawn.
    """

    parents: Indices
    tokens: Indices
    active: Mask
    p: Law
    q: Law
    scheme: str

    def below(self, node: int) -> Indices:
        """The live children of a node, in the order of their slots."""
        return np.flatnonzero((self.parents == node) & self.active)


Verifier = Callable[[Tree], Law]
NodeRule = Callable[[Indices, Law, Law], Law]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A law over drawn trees. The shape may differ from tree to tree.

    Attributes:
      parents: [T, N].
      contexts: [T, N], the context that each node stands for; ABSENT if the node was not drawn.
      mass: [T], sums to 1.
      target: [S, V], as in `TreeProblem`.
      draft: [S, V], as in `TreeProblem`.
      scheme: the name that the verifiers are told.
    """

    parents: Indices
    contexts: Indices
    mass: Law
    target: Law
    draft: Law
    scheme: str

    @property
    def active(self) -> Mask:
        """[T, N], which nodes were drawn."""
        active: Mask = self.contexts != ABSENT
        return active

    @property
    def tokens(self) -> Indices:
        """[T, N], 0 at the root and if nothing was drawn."""
        last = (self.contexts - 1) % self.target.shape[1]
        return np.where(self.contexts > ROOT, last, 0)

    @property
    def p(self) -> Law:
        """[T, N, V], the target law after each node; any law if the node was not drawn."""
        return np.asarray(self.target[self.contexts])

    @property
    def q(self) -> Law:
        """[T, N, V], the draft law after each node; any law if the node was not drawn."""
        return np.asarray(self.draft[self.contexts])

    def laws(self, verifier: Verifier) -> Law:
        """[T, N, V], the verifier's law on every tree."""
        columns = zip(
            self.parents,
            self.tokens,
            self.active,
            self.p,
            self.q,
            strict=True,
        )
        return np.array([verifier(Tree(*column, self.scheme)) for column in columns])


def drawn(problem: TreeProblem) -> Drawn:
    """All trees of positive probability.

    The children of each node are drawn by the scheme from the draft law after its path. If there
    are fewer tokens than children, the scheme leaves the last slots empty. These and all below them
    are ABSENT. Cost: O(T N) memory; T = V^(N-1) for independent draws.

    Args:
      problem: the models, the shape and the scheme.

    Returns:
      T trees with their probabilities.

    Raises:
      ValueError: there are more than 5e5 trees.
    """
    contexts = np.full((1, len(problem.parents)), ABSENT)
    mass = np.ones(1)
    contexts[0, ROOT] = ROOT
    for node, below in enumerate(children(problem.parents)):
        if below:
            contexts, mass = _grown(
                problem,
                contexts,
                mass,
                node,
                below,
            )
    return Drawn(
        parents=np.broadcast_to(np.array(problem.parents), contexts.shape),
        contexts=contexts,
        mass=mass,
        target=problem.target,
        draft=problem.draft,
        scheme=problem.scheme,
    )


def _grown(
    problem: TreeProblem,
    contexts: Indices,
    mass: Law,
    node: int,
    below: list[int],
) -> tuple[Indices, Law]:
    """The trees with the children of one node drawn."""
    found, rows = np.unique(contexts[:, node], return_counts=True)
    joints = [_children_law(problem, int(context), len(below)) for context in found]
    count = int(rows @ [len(joint.mass) for joint in joints])
    if count > ENUMERABLE:
        raise ValueError(f"drawn: expected at most {ENUMERABLE} trees, got {count} or more")
    grown = []
    masses = []
    for context, joint in zip(found, joints, strict=True):
        here = contexts[:, node] == context
        trees = np.repeat(contexts[here], len(joint.mass), axis=0)
        drafts = context * problem.vocabulary + 1 + joint.tokens
        live = below[: joint.tokens.shape[1]]
        trees[:, live] = np.tile(drafts, (int(here.sum()), 1))
        grown.append(trees)
        masses.append(np.outer(mass[here], joint.mass).ravel())
    return np.concatenate(grown), np.concatenate(masses)


def _children_law(problem: TreeProblem, context: int, count: int) -> Joint:
    """The joint law of the children drawn at a context; if the node was not drawn, none."""
    if context == ABSENT:
        return Joint(np.zeros((1, 0), np.int64), np.ones(1))
    return drafting.get(problem.scheme).joint(problem.draft[context], count)


def emitted(drawn: Drawn, laws: Law) -> Law:
    """The law of the first D + 1 emitted tokens: each walk's tokens, continued by the target.

    Mass on nodes that were not drawn is not emitted, so it shows as loss. Cost:
    O(T N V + V^(D+1)).

    Args:
      drawn: T trees of N nodes.
      laws: [T, N, V], a verifier's law on every tree.

    Returns:
      The law, shape [V] * (D + 1).
    """
    rows, vocabulary = drawn.target.shape
    following = drawn.contexts[..., None] * vocabulary + 1 + np.arange(vocabulary)
    live = np.broadcast_to(drawn.active[..., None], laws.shape)
    mass = drawn.mass[:, None, None] * laws
    ends = np.bincount(following[live], mass[live], rows * vocabulary + 1)
    return _continued(drawn.target, np.asarray(ends, np.float64))


def expected_accepted(drawn: Drawn, laws: Law) -> float:
    """E[ell] = sum of depth(node) P(the walk ends at node), the expected accepted drafts.

    The token that the target adds is not counted. Cost: O(T N V).

    Args:
      drawn: T trees of N nodes.
      laws: [T, N, V], a verifier's law on every tree.

    Returns:
      The expectation, in [0, D].

    Example:
      >>> from theory import trees, verifiers
      >>> problem = trees.everywhere((-1, 0, 1), [1 / 3, 2 / 3], [2 / 3, 1 / 3], "iid")
      >>> drawn = trees.drawn(problem)
      >>> round(trees.expected_accepted(drawn, drawn.laws(verifiers.block)), 6)
      1.222222
    """
    widths = [level.stop - level.start for level in levels(drawn.target)]
    depth = np.repeat(np.arange(len(widths)), widths)
    accepted = depth[drawn.contexts] * laws.sum(axis=-1)
    return float(drawn.mass @ accepted.sum(axis=-1))


def fixed_tree_bound(drawn: Drawn) -> float:
    """The most that a lossless verifier accepts of a tree that hangs on no draw: sum of P(v).

    The sum runs over the nodes below the root; P(v) is the target's probability of the path to v.
    A walk that accepts v emits its path, and a lossless verifier emits that path with probability
    P(v). Top-down verification attains the bound if every node emits its token from p. Nodes that
    stand for one context count once. Cost: O(S V).

    Args:
      drawn: one tree, of mass 1.

    Returns:
      The largest E[ell], in [0, D].

    Raises:
      ValueError: more than one tree can be drawn.

    Example:
      >>> from theory import trees
      >>> problem = trees.everywhere((-1, 0, 1), [1 / 3, 2 / 3], [2 / 3, 1 / 3], "top_n")
      >>> round(trees.fixed_tree_bound(trees.drawn(problem)), 6)
      0.444444
    """
    if len(drawn.mass) != 1:
        raise ValueError(f"drawn: expected one tree, got {len(drawn.mass)}")
    chance = np.ones(1)
    chances = [chance]
    for level in levels(drawn.target)[:-1]:
        chance = (chance[:, None] * drawn.target[level]).ravel()
        chances.append(chance)
    contexts = np.unique(drawn.contexts)
    below = contexts[contexts > ROOT]
    return float(np.concatenate(chances)[below].sum())


def loss(drawn: Drawn, laws: Law) -> float:
    """Total variation between what is emitted and the target's law of D + 1 tokens.

    Cost: O(T N V + V^(D+1)).

    Args:
      drawn: T trees of N nodes.
      laws: [T, N, V], a verifier's law on every tree.

    Returns:
      The distance, in [0, 1].

    Example:
      >>> from theory import trees, verifiers
      >>> problem = trees.everywhere((-1, 0, 1), [1 / 3, 2 / 3], [2 / 3, 1 / 3], "iid")
      >>> drawn = trees.drawn(problem)
      >>> round(abs(trees.loss(drawn, drawn.laws(verifiers.block))), 6)
      0.0
      >>> bool(trees.is_lossless(drawn, drawn.laws(verifiers.traversal)))
      True
    """
    start = np.zeros(drawn.target.size + 1)
    start[ROOT] = 1.0
    error = emitted(drawn, laws) - _continued(drawn.target, start)
    return float(np.abs(error).sum() / 2)


def is_lossless(drawn: Drawn, laws: Law, tolerance: float = TOLERANCE) -> Check:
    """Whether a verifier emits the target.

    Its law on every tree must be a law, and the loss within the tolerance.

    Args:
      drawn: T trees of N nodes.
      laws: [T, N, V], the verifier's law on every tree.
      tolerance: the largest error that passes, at least 0.

    Returns:
      The check. Its error is the loss, or that of `is_law` where a law is none.
    """
    check = is_law(laws.reshape(len(laws), -1), tolerance)
    if not check:
        reason = f"the verifier's law on a tree is not a law: {check.reason}"
        return Check(check.error, tolerance, reason)
    error = loss(drawn, laws)
    reason = ""
    if not error <= tolerance:
        reason = f"emits sequences at total variation {error:.3g} from the target's"
    return Check(error, tolerance, reason)


def _continued(target: Law, ends: Values) -> Law:
    """The law [V] * (D + 1) of sequences that stop at a context, continued by the target.

    The mass that stops at each context is `ends`.
    """
    mass = ends[:1]
    vocabulary = target.shape[1]
    for level in levels(target):
        first = level.start * vocabulary + 1
        last = level.stop * vocabulary + 1
        mass = (mass[:, None] * target[level]).ravel() + ends[first:last]
    return mass.reshape((vocabulary,) * len(levels(target)))
