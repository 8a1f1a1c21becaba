"""The question at a draft tree: two models, a shape and a drafting scheme."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory import battery, drafting
from theory._arrays import Law
from theory.contexts import children, contexts_within, depths, levels
from theory.problem import as_law


@dataclass(frozen=True, eq=False)
class TreeProblem:
    """A target and a draft model known after every context, and the tree drawn from the draft.

    A context is what was drafted since the root. Contexts are numbered level by level: the empty
    one is 0, and token y after context s is s V + 1 + y. There are S = 1 + V + .. + V^D of at most
    D tokens, D the depth of the tree.

    Attributes:
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
                f"target, draft: expected two tables [S, V] over one vocabulary, "
                f"got {target.shape} and {draft.shape}"
            )
        rows = contexts_within(target.shape[1], max(depth))
        if min(len(target), len(draft)) < rows:
            raise ValueError(
                f"target, draft: expected {rows} contexts or more, "
                f"got {len(target)} and {len(draft)}"
            )
        level = levels(draft[:rows])
        for node, below in enumerate(children(parents)):
            if below:
                for law in draft[level[depth[node]]]:
                    drafting.get(self.scheme).live(law, len(below))
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "target", target[:rows])
        object.__setattr__(self, "draft", draft[:rows])

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self.target.shape[1])

    @property
    def depth(self) -> int:
        """D, the depth of the deepest node."""
        return max(depths(self.parents))


def everywhere(parents: Sequence[int], p: ArrayLike, q: ArrayLike, scheme: str) -> TreeProblem:
    """The problem with one pair of laws after every context.

    Args:
      parents: the node above each node, in level order; parents[0] = -1.
      p: target law [V].
      q: draft law [V].
      scheme: one of `theory.drafting.names()`.

    Returns:
      The problem.

    Raises:
      ValueError: parents is no tree, p or q is no law, or the scheme does not fit.
    """
    target = as_law("p", p)
    draft = as_law("q", q)
    rows = contexts_within(target.shape[-1], max(depths(parents)))
    return TreeProblem(
        tuple(parents),
        np.tile(target, (rows, 1)),
        np.tile(draft, (rows, 1)),
        scheme,
    )


def random(parents: Sequence[int], vocabulary: int, scheme: str, seed: int) -> TreeProblem:
    """The problem whose laws are all drawn evenly from the simplex.

    The same seed gives the same laws after a context.

    Args:
      parents: the node above each node, in level order; parents[0] = -1.
      vocabulary: V, at least 1.
      scheme: one of `theory.drafting.names()`.
      seed: at least 0.

    Returns:
      The problem.

    Raises:
      ValueError: parents is no tree, or the scheme does not fit.
    """
    pairs = []
    for context in range(contexts_within(vocabulary, max(depths(parents)))):
        rng = np.random.default_rng((seed, context))
        pairs.append(rng.dirichlet(np.ones(vocabulary), 2))
    tables = np.array(pairs)
    return TreeProblem(tuple(parents), tables[:, 0], tables[:, 1], scheme)


def mixed(parents: Sequence[int], vocabulary: int, scheme: str, seed: int) -> TreeProblem:
    """The problem whose contexts take the pairs of the battery in random order.

    The pairs have zeros, ties, peaks, equal and disjoint laws.

    Args:
      parents: the node above each node, in level order; parents[0] = -1.
      vocabulary: V, at least 2.
      scheme: one of `theory.drafting.names()`.
      seed: at least 0.

    Returns:
      The problem.

    Raises:
      ValueError: parents is no tree, V is below 2, or the scheme does not fit.
    """
    pairs = battery.laws(vocabulary, seed)
    rng = np.random.default_rng(seed)
    rows = contexts_within(vocabulary, max(depths(parents)))
    order: list[int] = []
    while len(order) < rows:
        order += rng.permutation(len(pairs)).tolist()
    taken = [pairs[place] for place in order[:rows]]
    target = np.array([pair.p for pair in taken])
    draft = np.array([pair.q for pair in taken])
    return TreeProblem(tuple(parents), target, draft, scheme)
