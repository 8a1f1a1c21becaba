"""What the files share: tables cut to depth, the mass of every context, and trees as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.problem import as_law
from theory.trees import ABSENT, ENUMERABLE, ROOT, Drawn, contexts_within, levels

Law = NDArray[np.float64]
Indices = NDArray[np.int64]

Placed = tuple[int, int]  # the node above, the context


class World(NamedTuple):
    """The tables [S, V] cut to the contexts of at most D tokens, and the mass Q [S] of each
    context: the product of draft laws.
    """

    target: Law
    draft: Law
    mass: Law

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self.draft.shape[1])

    def level(self, depth: int) -> Indices:
        """The contexts of `depth` tokens that can be drawn."""
        rows = levels(self.draft)[depth]
        return np.arange(rows.start, rows.stop)[self.mass[rows] > 0]

    def above(self, context: int) -> int:
        """The context without its last token."""
        return (context - 1) // self.vocabulary

    def depth(self, context: int) -> int:
        """How many tokens a context has."""
        return 0 if context == ROOT else 1 + self.depth(self.above(context))


def world(target: ArrayLike, draft: ArrayLike, depth: int) -> World:
    """The tables as laws.

    Raises:
      ValueError: a table is no table of laws, or has too few rows for the depth.
    """
    p = as_law("target", target)
    q = as_law("draft", draft)
    rows = contexts_within(q.shape[-1], depth)
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[1] or min(len(p), len(q)) < rows:
        raise ValueError(
            f"target, draft: expected {rows} laws or more over one vocabulary, got shapes "
            f"{p.shape} and {q.shape}"
        )
    inner = contexts_within(q.shape[-1], depth - 1)
    mass = np.ones(rows)
    for context in range(inner):
        below = context * q.shape[1] + 1
        mass[below : below + q.shape[1]] = mass[context] * q[context]
    return World(p[:rows], q[:rows], mass)


def collect(
    world: World, trees: Iterable[tuple[Sequence[Placed | None], float]], scheme: str
) -> Drawn:
    """The law over trees that are given one by one: for each node after the root where it hangs and
    what it stands for, None if absent.

    Raises:
      ValueError: there are more than 5e5 trees.
    """
    parents = []
    contexts = []
    masses = []
    for nodes, mass in trees:
        placed = [node or (ROOT, ABSENT) for node in nodes]
        parents.append([ABSENT, *(parent for parent, _ in placed)])
        contexts.append([ROOT, *(context for _, context in placed)])
        masses.append(mass)
        if len(masses) > ENUMERABLE:
            raise ValueError(f"drawn: expected at most {ENUMERABLE} trees, got more")
    return Drawn(
        np.array(parents), np.array(contexts), np.array(masses), world.target, world.draft, scheme
    )
