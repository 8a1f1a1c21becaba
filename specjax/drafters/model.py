"""A language model drafts a tree, level by level."""

import dataclasses
import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax._types import Count, Index, NodeLaws, RandomKey
from specjax.models import LanguageModel, prefill
from specjax.numerics import AS_IS, Sampling
from specjax.trees import NO_NODE, ROOT, Draft, Topology, TreeDrafting, Verdict
from specjax.trees.growth import Level, blank
from specjax.trees.topology import NodeInts


class _State(NamedTuple):
    """The drafter's state.

    Attributes:
      cache: the cache of the model.
      last: the last committed token.
      places: [N], the row of the cache's scratch in which each node of the proposed tree was
        scored.
    """

    cache: PyTree
    last: Index
    places: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class ModelDrafter:
    """Grows a tree from the model's law at every node.

    Cost: one forward for each level, the leaves included, so that every path that may be accepted
    is already in the cache.
    """

    model: LanguageModel
    growth: TreeDrafting
    sampling: Sampling = AS_IS

    @property
    def topology(self) -> Topology:
        """The tree that is verified."""
        return self.growth.topology

    def init(self, params: PyTree, prompt: Int[Array, " P"], length: Count, rows: int) -> _State:
        dropped = sum(self.growth.widths) - self.topology.nodes  # grown, never verified
        cache = prefill(self.model, params, prompt, length, rows + dropped)
        return _State(
            cache,
            prompt[length - 1].astype(jnp.int32),
            jnp.arange(self.topology.nodes, dtype=jnp.int32),
        )

    def propose(self, key: RandomKey, params: PyTree, state: _State) -> tuple[Draft, _State]:
        tree = blank(self.growth.widths, 1)
        memory = self.growth.start()
        cache = state.cache
        laws: list[Array] = []
        tokens = jnp.zeros(tree.nodes, jnp.int32).at[ROOT].set(state.last)
        for depth, (first, end) in enumerate(itertools.pairwise(tree.levels)):
            if depth > 0:
                memory, level = self.growth.expand(key, depth - 1, memory, laws[-1])
                tree = _hang(tree, depth, level)
                tokens = tokens.at[first:end].set(level.tokens)
            scores = self.model.score(params, cache, tokens, tree, slice(first, end))
            cache = scores.cache
            laws.append(self.sampling.law(scores.logits))
        grown = self.growth.finish(memory, tree.parents, tree.active)
        draft = Draft(
            grown.topology,
            tokens[grown.places],
            _rows(jnp.concatenate(laws), grown.places),
            self.growth.scheme,
        )
        return draft, _State(cache, state.last, jnp.asarray(grown.places, jnp.int32))

    def observe(self, state: _State, verdict: Verdict, features: PyTree) -> _State:
        path = jnp.where(verdict.path == NO_NODE, NO_NODE, state.places[verdict.path])
        last = jnp.where(verdict.length > 0, verdict.tokens[verdict.length - 1], state.last)
        return _State(self.model.commit(state.cache, path), last, state.places)


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
