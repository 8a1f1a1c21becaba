"""What the files share: tables cut to depth, the mass of every context, and trees as rows."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theory._arrays import Indices, Law, Values
from theory.problem import as_law
from theory.trees import ABSENT, ENUMERABLE, ROOT, Drawn, contexts_within, levels

Placed = tuple[int, int]  # the node above, the context


class World(NamedTuple):
    """Tables cut to the contexts of at most D tokens, and the mass of each context.

    Attributes:
      target: [S, V].
      draft: [S, V].
      mass: Q [S], the product of the draft laws on the way to each context.
    """

    target: Law
    draft: Law
    mass: Values

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

    def first_below(self, context: int) -> int:
        """The context with token 0 after it."""
        return context * self.vocabulary + 1

    def depth(self, context: int) -> int:
        """How many tokens a context has."""
        if context == ROOT:
            return 0
        return 1 + self.depth(self.above(context))


def world(target: ArrayLike, draft: ArrayLike, depth: int) -> World:
    """The tables as laws, cut to a depth.

    Args:
      target: [S, V].
      draft: [S, V].
      depth: D, the most tokens of a context.

    Returns:
      The tables with 1 + V + .. + V^D rows, and the mass of each context.

    Raises:
      ValueError: a table is no table of laws, or has too few rows for the depth.
    """
    p = as_law("target", target)
    q = as_law("draft", draft)
    vocabulary = q.shape[-1]
    rows = contexts_within(vocabulary, depth)
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != vocabulary or min(len(p), len(q)) < rows:
        raise ValueError(
            f"target, draft: expected {rows} laws or more over one vocabulary, "
            f"got shapes {p.shape} and {q.shape}"
        )
    mass = np.ones(rows)
    for context in range(contexts_within(vocabulary, depth - 1)):
        below = context * vocabulary + 1
        mass[below : below + vocabulary] = mass[context] * q[context]
    return World(p[:rows], q[:rows], mass)


def placed(world: World, order: Sequence[int], nodes: int) -> list[Placed | None]:
    """The nodes after the root of a tree that is given by its contexts.

    Args:
      world: the tables.
      order: the contexts in level order, the root first.
      nodes: of the tree, the root included; those beyond the contexts are absent.

    Returns:
      `nodes` - 1 nodes.
    """
    found: list[Placed | None] = [None] * (nodes - 1)
    for place, context in enumerate(order[1:]):
        found[place] = order.index(world.above(context)), context
    return found


def collect(
    world: World, trees: Iterable[tuple[Sequence[Placed | None], float]], scheme: str
) -> Drawn:
    """The law over trees that are given one by one.

    Args:
      world: the tables.
      trees: for each tree its nodes after the root, and its probability. A node is the node above
        it and its context, or None if it is absent.
      scheme: the name that the verifiers are told.

    Returns:
      The trees, one a row.

    Raises:
      ValueError: there are more than 5e5 trees.
    """
    parents = []
    contexts = []
    masses = []
    for nodes, mass in trees:
        rows = [(ABSENT, ROOT)]
        rows += [node or (ROOT, ABSENT) for node in nodes]
        above, held = zip(*rows, strict=True)
        parents.append(above)
        contexts.append(held)
        masses.append(mass)
        if len(masses) > ENUMERABLE:
            raise ValueError(f"drawn: expected at most {ENUMERABLE} trees, got more")
    return Drawn(
        parents=np.array(parents),
        contexts=np.array(contexts),
        mass=np.array(masses),
        target=world.target,
        draft=world.draft,
        scheme=scheme,
    )
