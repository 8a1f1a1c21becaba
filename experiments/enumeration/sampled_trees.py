"""Trees of a scheme whose law nobody has derived: drawn many times and counted, after they are seen
to be trees.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

import theory
from experiments.cli.console import raised
from specjax.trees import NO_NODE, ROOT, Topology, TreeDrafting
from specjax.trees.growth import blank
from specjax.trees.topology import AnyArray
from theory.trees import ABSENT

DRAWS = 1 << 19  # in the law of 27 sequences chance moves less than 0.0073
TOGETHER = 1 << 12  # side by side
ROOM = 160_000_000  # numbers that all drawn trees hold: 640 MB

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class NoTreeError(Exception):
    """Why what was grown cannot be verified."""


class Trees(NamedTuple):
    """Drawn trees, one row each; where a node was not drawn, its token and its prefix are ABSENT.

    Attributes:
      parents, depth, active, tokens: [T, N].
      children: [T, N, W].
      contexts: [T, N], the prefix at which each node was grown, and from whose law its children
        were drawn.
    """

    parents: AnyArray
    depth: AnyArray
    active: AnyArray
    tokens: AnyArray
    contexts: AnyArray
    children: AnyArray


def drawn(scheme: TreeDrafting, target: Array, draft: Array) -> theory.Drawn:
    """The frequencies of DRAWS trees; a verifier's law on each is exact, so that only the trees are
    left to chance.

    Args:
      scheme: how the tree is drafted.
      target: [S, V], the target laws after each context.
      draft: [S, V], the draft laws after each context.

    Raises:
      NoTreeError: the scheme fails, or what it grows is not what it says.
      ValueError: the tree is too large.
    """
    numbers = DRAWS * scheme.topology.nodes * (len(Trees._fields) - 1 + scheme.topology.width)
    if numbers > ROOM:
        raise ValueError(
            f"tree: too large to draw {DRAWS} times, expected at most {ROOM} numbers, got {numbers}"
        )
    keys = jax.random.split(jax.random.key(0), DRAWS)
    try:
        columns = _draw(scheme, keys, draft.astype(np.float32))
    except Exception as error:  # whatever a stranger's scheme raises is a finding, not a crash
        raise NoTreeError(raised(error)) from error
    trees, counts = _counted(jax.tree.map(np.asarray, columns))
    for tree in zip(*trees, strict=True):
        fault = _fault(scheme.topology, draft.shape[1], Trees(*tree))
        if fault:
            raise NoTreeError(f"no tree: {fault}")
    return theory.Drawn(
        parents=np.asarray(trees.parents),
        contexts=np.asarray(trees.contexts),
        mass=counts / DRAWS,
        target=target,
        draft=draft,
        scheme=scheme.scheme,
    )


def _counted(trees: Trees) -> tuple[Trees, Indices]:
    """The trees that differ, and how often each was drawn."""
    rows = np.concatenate([column.reshape(len(column), -1) for column in trees], 1).astype(np.int32)
    # a row as one value: sorts over ten times faster
    whole = np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))
    _, first, counts = np.unique(
        np.ascontiguousarray(rows).view(whole).reshape(-1), return_index=True, return_counts=True
    )
    return jax.tree.map(lambda column: column[first].astype(np.int64), trees), counts


@functools.partial(jax.jit, static_argnames="scheme")
def _draw(scheme: TreeDrafting, keys: jax.Array, draft: jax.Array) -> Trees:
    grow = functools.partial(_grow, scheme, draft)
    trees: Trees = jax.lax.map(grow, keys, batch_size=TOGETHER)
    return trees


def _grow(scheme: TreeDrafting, draft: jax.Array, key: jax.Array) -> Trees:
    """One tree, grown as a draft model grows it (`specjax.drafters.ModelDrafter`), with the table
    of laws for a model.
    """
    levels = blank(scheme.widths, 1).levels
    vocabulary = draft.shape[1]
    state = scheme.start()
    here = jnp.zeros(1, jnp.int32)
    parents = [jnp.full(1, NO_NODE)]
    active = [jnp.ones(1, bool)]
    tokens = [jnp.full(1, ABSENT)]
    contexts = [here]
    for depth, first in enumerate(levels[:-2]):
        state, level = scheme.expand(key, depth, state, draft[jnp.maximum(here, ROOT)])
        below = here[level.parents] * vocabulary + 1 + level.tokens
        here = jnp.where(level.active, below, ABSENT).astype(jnp.int32)
        for column, values in (
            (parents, first + level.parents),
            (active, level.active),
            (tokens, level.tokens),
            (contexts, here),
        ):
            column.append(jnp.asarray(values))
    grown = scheme.finish(state, jnp.concatenate(parents), jnp.concatenate(active))
    shape = grown.topology
    places = jnp.asarray(grown.places)
    live = jnp.asarray(shape.active)
    children = jnp.asarray(shape.children)
    return Trees(
        jnp.where(live, jnp.asarray(shape.parents), ROOT).at[ROOT].set(shape.parents[ROOT]),
        jnp.where(live, jnp.asarray(shape.depth), 0),
        live,
        jnp.where(live, jnp.concatenate(tokens)[places], ABSENT),
        jnp.where(live, jnp.concatenate(contexts)[places], ABSENT),
        jnp.where(live[:, None] & (children != NO_NODE) & live[children], children, NO_NODE),
    )


def _fault(sizes: Topology, vocabulary: int, tree: Trees) -> str:
    """Why one drawn tree is not what its sizes promise; empty if it is."""
    live = np.flatnonzero(tree.active).tolist()
    if tree.children.shape != (sizes.nodes, sizes.width) or live[:1] != [ROOT]:
        return (
            f"expected a root and {sizes.nodes} nodes with room for {sizes.width} children, as its "
            "topology says"
        )
    for node in live[1:]:
        above = int(tree.parents[node])
        token = int(tree.tokens[node])
        if (
            not 0 <= above < node
            or not tree.active[above]
            or tree.depth[node] != tree.depth[above] + 1
        ):
            return f"node {node} was drawn, and hangs nowhere"
        if (
            not 0 <= token < vocabulary
            or tree.contexts[node] != tree.contexts[above] * vocabulary + 1 + token
        ):
            return f"node {node} does not stand for the prefix at which it was grown"
    for node in live:
        below = [child for child in live[1:] if tree.parents[child] == node]
        if tree.children[node][tree.children[node] != NO_NODE].tolist() != below:
            return f"the children of node {node} are not listed in the order of their nodes"
        if (
            len(below) not in sizes.arities
            or (below and node >= sizes.levels[-2])
            or tree.depth[node] > sizes.height
        ):
            return (
                f"node {node} has {len(below)} children, which the arities or levels of its "
                "topology leave out"
            )
    return ""
