"""A tree that grows level by level from the laws of a model."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax._types import NodeLaws, RandomKey
from specjax.models import Scores
from specjax.numerics import Sampling
from specjax.trees import NO_NODE, Draft, Topology, TreeDrafting
from specjax.trees.growth import Level
from specjax.trees.topology import NodeInts

# of a cache, the tokens and the tree so far, the rows to score, and which of these are asked about
Score = Callable[[PyTree, Int[Array, " N"], Topology, slice, slice], Scores]


class Proposal(NamedTuple):
    """A tree that was grown.

    Attributes:
      draft: the tree to verify.
      cache: the cache after the last level that was scored.
      places: [N], the place at which each node of the tree was grown.
    """

    draft: Draft
    cache: PyTree
    places: Int[Array, " N"]


def grow(
    growth: TreeDrafting,
    sampling: Sampling,
    key: RandomKey,
    score: Score,
    cache: PyTree,
    tree: Topology,
    tokens: Int[Array, " R"],
) -> Proposal:
    """Grow a tree: score a level, draw the next.

    The last level is drawn, not scored.

    Args:
      growth: the tree scheme.
      sampling: how logits become laws.
      key: typed key.
      score: scores rows of the tree.
      cache: the cache that `score` starts from.
      tree: the sizes, as `growth.blank` makes them: perhaps rows before the root, then the root,
        then the grown levels.
      tokens: the tokens up to the root, [R].

    Returns:
      The tree, without the rows before the root.

    Cost: one call of `score` for each level of drafts.
    """
    before = tokens.shape[0] - 1
    memory = growth.start()
    laws: list[Array] = []
    tokens = jnp.zeros(tree.nodes, jnp.int32).at[: before + 1].set(tokens)
    bounds = [*itertools.pairwise(tree.levels)][before:]
    for depth, ((first, end), (_, last)) in enumerate(itertools.pairwise(bounds)):
        new, asked = slice(first, end), slice(None)
        if depth == 0:
            new, asked = slice(end), slice(before, None)
        scores = score(cache, tokens, tree, new, asked)
        cache = scores.cache
        laws.append(sampling.law(scores.logits))
        memory, level = growth.expand(key, depth, memory, laws[-1])
        tree = _hang(tree, depth + before + 1, level)
        tokens = tokens.at[end:last].set(level.tokens)
    active = jnp.asarray(tree.active)[before:]
    parents = jnp.maximum(jnp.asarray(tree.parents)[before:] - before, NO_NODE)
    grown = growth.finish(memory, parents, active)
    # nothing is drawn from the laws of the last level: any will do
    vocabulary = laws[-1].shape[1]
    laws.append(jnp.full((growth.widths[-1], vocabulary), 1 / vocabulary, jnp.float32))
    draft = Draft(
        grown.topology,
        tokens[before:][grown.places],
        _rows(jnp.concatenate(laws), grown.places),
        growth.scheme,
    )
    return Proposal(draft, cache, jnp.asarray(grown.places, jnp.int32))


def _hang(tree: Topology, depth: int, level: Level) -> Topology:
    """The tree with the nodes of a level under those of the level above."""
    above, first, end = tree.levels[depth - 1 : depth + 2]
    parents = jnp.asarray(tree.parents).at[first:end].set(above + level.parents)
    return dataclasses.replace(
        tree, parents=parents, active=jnp.asarray(tree.active).at[first:end].set(level.active)
    )


def _rows(laws: Float[Array, "L V"], places: NodeInts) -> NodeLaws:
    """The laws of the nodes that are verified; they are not copied if no node was dropped."""
    return laws if laws.shape[0] == places.shape[0] else laws[places]
