"""Draft trees by enumeration: every tree that can be drawn, and the exact law of what a verifier
emits on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import battery, drafting
from theory.checks import TOLERANCE, Check, is_law
from theory.drafting import Joint
from theory.problem import as_law

Law = NDArray[np.float64]
Indices = NDArray[np.int64]

ROOT, ABSENT = 0, -1
ENUMERABLE = 500_000


@dataclass(frozen=True, eq=False)
class TreeProblem:
    """A target and a draft model that are known after every context, and the tree that is drawn
    from the draft.

    A context is what was drafted since the root. Contexts are numbered level by level: the empty
    one is 0, and token y after context s is s V + 1 + y; there are S = 1 + V + .. + V^D of at most
    D tokens, D the depth of the tree.

    Arguments:
      parents: the node above each node, in level order; parents[0] = -1.
      target: [S, V], the law of the next token after each context; rows beyond S are cut off.
      draft: [S, V].
      scheme: how the children of a node are drawn from the draft law there, one of
        `theory.drafting.names()`.
    Raises:
      ValueError: parents is no tree in level order, a table has the wrong shape or a row that is no
        law, or the scheme does not fit.
    """

    parents: tuple[int, ...]
    target: Law
    draft: Law
    scheme: str

    def __post_init__(self) -> None:
        parents = tuple(int(parent) for parent in self.parents)
        depth = depths(parents)
        target = as_law("target", self.target)
        draft = as_law("draft", self.draft)
        if target.ndim != 2 or draft.ndim != 2 or target.shape[1] != draft.shape[1]:
            raise ValueError(
                f"target, draft: expected two tables [S, V] over one vocabulary, got "
                f"{target.shape} and {draft.shape}"
            )
        rows = contexts_within(target.shape[1], max(depth))
        if min(len(target), len(draft)) < rows:
            raise ValueError(
                f"target, draft: expected {rows} contexts or more, got {len(target)} and "
                f"{len(draft)}"
            )
        for node, below in enumerate(children(parents)):
            first = contexts_within(target.shape[1], depth[node] - 1)
            for law in draft[first : first + target.shape[1] ** depth[node]] if below else ():
                drafting.get(self.scheme).live(law, len(below))
        for name, value in (
            ("parents", parents),
            ("target", target[:rows]),
            ("draft", draft[:rows]),
        ):
            object.__setattr__(self, name, value)

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self.target.shape[1])

    @property
    def depth(self) -> int:
        """D, the depth of the deepest node."""
        return max(depths(self.parents))


def everywhere(
    parents: Sequence[int],
    p: ArrayLike,
    q: ArrayLike,
    scheme: str,
) -> TreeProblem:
    """The problem with one pair of laws after every context."""
    target = as_law("p", p)
    draft = as_law("q", q)
    rows = contexts_within(target.shape[-1], max(depths(parents)))
    return TreeProblem(
        tuple(parents), np.tile(target, (rows, 1)), np.tile(draft, (rows, 1)), scheme
    )


def random(
    parents: Sequence[int],
    vocabulary: int,
    scheme: str,
    seed: int,
) -> TreeProblem:
    """The problem whose laws are all drawn evenly from the simplex; the same seed gives the same
    laws after a context.
    """
    rows = contexts_within(vocabulary, max(depths(parents)))
    pairs = np.array(
        [
            np.random.default_rng((seed, context)).dirichlet(np.ones(vocabulary), 2)
            for context in range(rows)
        ]
    )
    return TreeProblem(tuple(parents), pairs[:, 0], pairs[:, 1], scheme)


def mixed(
    parents: Sequence[int],
    vocabulary: int,
    scheme: str,
    seed: int,
) -> TreeProblem:
    """The problem whose contexts take the pairs of the battery in random order: zeros, ties, peaks,
    equal and disjoint laws.
    """
    pairs = battery.laws(vocabulary, seed)
    rng = np.random.default_rng(seed)
    rows = contexts_within(vocabulary, max(depths(parents)))
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(-(-rows // len(pairs)))])[
        :rows
    ]
    target, draft = (np.array([pairs[i][side] for i in order]) for side in (1, 2))
    return TreeProblem(tuple(parents), target, draft, scheme)


class Tree(NamedTuple):
    """One drawn tree, as a verifier sees it; a verifier gives [N, V], the probability that the walk
    ends at node i and emits y next.

    Attributes:
      parents, tokens, active: [N]; row 0 is the root, whose token is not read; what an inactive
        node holds is not read either.
      p, q: [N, V], the laws of what follows each node.
    """

    parents: Indices
    tokens: Indices
    active: NDArray[np.bool_]
    p: Law
    q: Law
    scheme: str

    def below(self, node: int) -> Indices:
        """The live children of a node, in the order of their slots."""
        return np.flatnonzero((self.parents == node) & self.active)


Verifier = Callable[[Tree], Law]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A law over drawn trees. The shape may differ from tree to tree.

    Arguments:
      parents: [T, N].
      contexts: [T, N], the context that each node stands for; ABSENT where the node was not drawn.
      mass: [T], sums to 1.
      target, draft: [S, V], as in `TreeProblem`.
      scheme: the name that the verifiers are told.
    """

    parents: Indices
    contexts: Indices
    mass: Law
    target: Law
    draft: Law
    scheme: str

    @property
    def active(self) -> NDArray[np.bool_]:
        """[T, N], which nodes were drawn."""
        return self.contexts != ABSENT

    @property
    def tokens(self) -> Indices:
        """[T, N], 0 at the root and where nothing was drawn."""
        return np.where(self.contexts > ROOT, (self.contexts - 1) % self.target.shape[1], 0)

    @property
    def p(self) -> Law:
        """[T, N, V], the target law after each node; any law where the node was not drawn."""
        return np.asarray(self.target[self.contexts])

    @property
    def q(self) -> Law:
        """[T, N, V], the draft law after each node; any law where the node was not drawn."""
        return np.asarray(self.draft[self.contexts])

    def laws(self, verifier: Verifier) -> Law:
        """[T, N, V], the verifier's law on every tree."""
        columns = zip(self.parents, self.tokens, self.active, self.p, self.q, strict=True)
        return np.array([verifier(Tree(*column, self.scheme)) for column in columns])


def drawn(problem: TreeProblem) -> Drawn:
    """All trees of positive probability: the children of each node are drawn by the scheme from the
    draft law after its path.

    Slots that the scheme leaves empty (fewer tokens than children) are the last ones; they and all
    below them are ABSENT.

    Raises:
      ValueError: there are more than 5e5 trees.
    Cost: O(T N) memory; T = V^(N-1) for independent draws.
    """
    contexts = np.full((1, len(problem.parents)), ABSENT)
    mass = np.ones(1)
    contexts[0, ROOT] = ROOT
    for node, below in enumerate(children(problem.parents)):
        if below:
            contexts, mass = _grown(problem, contexts, mass, node, below)
    parents = np.broadcast_to(np.array(problem.parents), contexts.shape)
    return Drawn(parents, contexts, mass, problem.target, problem.draft, problem.scheme)


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
    parts = []
    for context, joint in zip(found, joints, strict=True):
        here = contexts[:, node] == context
        trees = np.repeat(contexts[here], len(joint.mass), axis=0)
        live = below[: joint.tokens.shape[1]]
        trees[:, live] = np.tile(
            context * problem.vocabulary + 1 + joint.tokens, (int(here.sum()), 1)
        )
        parts.append((trees, np.outer(mass[here], joint.mass).ravel()))
    grown, masses = zip(*parts, strict=True)
    return np.concatenate(grown), np.concatenate(masses)


def _children_law(problem: TreeProblem, context: int, count: int) -> Joint:
    """The joint law of the children drawn at a context; where the node itself was not drawn,
    none.
    """
    if context == ABSENT:
        return Joint(np.zeros((1, 0), np.int64), np.ones(1))
    return drafting.get(problem.scheme).joint(problem.draft[context], count)


def emitted(drawn: Drawn, laws: Law) -> Law:
    """The law of the first D + 1 emitted tokens, [V] * (D + 1): each walk's tokens, continued by
    the target.

    Mass on nodes that were not drawn is not emitted, so it shows as loss.

    Arguments:
      laws: [T, N, V], a verifier's law on every tree.
    Cost: O(T N V + V^(D+1)).
    """
    rows, vocabulary = drawn.target.shape
    following = drawn.contexts[..., None] * vocabulary + 1 + np.arange(vocabulary)
    live = np.broadcast_to(drawn.active[..., None], laws.shape)
    ends = np.bincount(
        following[live], (drawn.mass[:, None, None] * laws)[live], rows * vocabulary + 1
    )
    return _continued(drawn.target, np.asarray(ends, np.float64))


def expected_accepted(drawn: Drawn, laws: Law) -> float:
    """E[ell] = sum of depth(node) P(the walk ends at node): drafts accepted, without the token that
    the target adds.
    """
    depth = np.concatenate(
        [np.full(level.stop - level.start, d) for d, level in enumerate(levels(drawn.target))]
    )
    return float(drawn.mass @ (depth[drawn.contexts] * laws.sum(axis=-1)).sum(axis=-1))


def loss(drawn: Drawn, laws: Law) -> float:
    """Total variation between what is emitted and the target's law of D + 1 tokens."""
    start = np.zeros(drawn.target.size + 1)
    start[ROOT] = 1.0
    return float(np.abs(emitted(drawn, laws) - _continued(drawn.target, start)).sum() / 2)


def is_lossless(drawn: Drawn, laws: Law, tolerance: float = TOLERANCE) -> Check:
    """Whether a verifier emits the target: its law on every tree is a law, and the loss is within
    the tolerance.
    """
    check = is_law(laws.reshape(len(laws), -1), tolerance)
    if not check:
        return Check(
            check.error, tolerance, f"the verifier's law on a tree is not a law: {check.reason}"
        )
    error = loss(drawn, laws)
    return Check(
        error,
        tolerance,
        ""
        if error <= tolerance
        else f"emits sequences at total variation {error:.3g} from the target's",
    )


def contexts_within(vocabulary: int, depth: int) -> int:
    """1 + V + .. + V^depth."""
    return sum(vocabulary**d for d in range(depth + 1))


def levels(table: Law) -> list[slice]:
    """The rows of a table [S, V] that hold the contexts of 0, 1, .., D tokens."""
    (rows, vocabulary), found = table.shape, [slice(0, 1)]
    while found[-1].stop < rows:
        found.append(slice(found[-1].stop, found[-1].stop + vocabulary ** len(found)))
    return found


def children(parents: Sequence[int]) -> list[list[int]]:
    """The nodes below each node, in the order of their slots."""
    found: list[list[int]] = [[] for _ in parents]
    for node, parent in enumerate(parents[1:], 1):
        found[parent].append(node)
    return found


def depths(parents: Sequence[int]) -> list[int]:
    """The depth of each node.

    Raises:
      ValueError: parents is no tree in level order.
    """
    found = [0]
    if (
        not len(parents)
        or parents[0] != ABSENT
        or any(not 0 <= parent < node for node, parent in enumerate(parents[1:], 1))
    ):
        raise ValueError(
            f"parents: expected [-1, ...] with every parent before its child, got {list(parents)}"
        )
    for parent in parents[1:]:
        found.append(found[parent] + 1)
    if found != sorted(found):
        raise ValueError(f"parents: expected nodes in level order, got {list(parents)}")
    return found


def _continued(target: Law, ends: Law) -> Law:
    """The law [V] * (D + 1) of sequences that stop at a context with mass ends[context], continued
    by the target.
    """
    mass = ends[:1]
    vocabulary = target.shape[1]
    for level in levels(target):
        below = slice(level.start * vocabulary + 1, level.stop * vocabulary + 1)
        mass = (mass[:, None] * target[level]).ravel() + ends[below]
    return mass.reshape((vocabulary,) * len(levels(target)))
