"""A language model drafts a tree, level by level."""

import dataclasses
import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from specjax._types import Count, NodeLaws, RandomKey
from specjax.models import LanguageModel, prefill
from specjax.numerics import AS_IS, Sampling
from specjax.trees import NO_NODE, ROOT, Draft, Topology, TreeDrafting, Verdict
from specjax.trees.growth import Level, blank
from specjax.trees.topology import NodeInts

NO_TOKEN = -1


class _State(NamedTuple):
    """The drafter's state.

    Attributes:
      cache: the cache of the model; it holds all committed tokens but the last two.
      recent: the last two committed tokens; NO_TOKEN is the first of a text of one token.
      places: [N], the place at which each node of the proposed tree was grown.
    """

    cache: PyTree
    recent: Int[Array, " 2"]
    places: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class ModelDrafter:
    """Grows a tree from the model's law at every node.

    The last level is drawn, not scored. If one of its nodes is accepted, the next tree scores it:
    row 0 of what the model scores is the token before the root.

    Cost: one forward for each level of drafts; the first is of two tokens.

    Raises:
      ValueError: the tree has no drafts.
    """

    model: LanguageModel
    growth: TreeDrafting
    sampling: Sampling = AS_IS

    def __post_init__(self) -> None:
        if self.topology.height < 1:
            raise ValueError("expected a tree with drafts; `NoDraft` decodes without")

    @property
    def topology(self) -> Topology:
        """The tree that is verified."""
        return self.growth.topology

    def init(self, params: PyTree, prompt: Int[Array, " P"], length: Count, rows: int) -> _State:
        dropped = sum(self.growth.widths) - self.topology.nodes  # grown, never verified
        before = jnp.maximum(length - 1, 1)
        cache = prefill(self.model, params, prompt, before, rows + dropped)
        previous = jnp.where(length > 1, prompt[length - 2], NO_TOKEN)
        return _State(
            cache,
            jnp.stack([previous, prompt[length - 1]]).astype(jnp.int32),
            jnp.arange(self.topology.nodes, dtype=jnp.int32),
        )

    def propose(self, key: RandomKey, params: PyTree, state: _State) -> tuple[Draft, _State]:
        tree = _after(state.recent[0] == NO_TOKEN, blank((1, *self.growth.widths), 1))
        memory = self.growth.start()
        cache = state.cache
        laws: list[Array] = []
        tokens = jnp.zeros(tree.nodes, jnp.int32).at[:2].set(state.recent)
        bounds = [*itertools.pairwise(tree.levels)][1:]
        for depth, ((first, end), (_, last)) in enumerate(itertools.pairwise(bounds)):
            new, asked = (slice(first, end), slice(None)) if depth else (slice(2), slice(1, 2))
            scores = self.model.score(params, cache, tokens, tree, new, asked)
            cache = scores.cache
            laws.append(self.sampling.law(scores.logits))
            memory, level = self.growth.expand(key, depth, memory, laws[-1])
            tree = _hang(tree, depth + 2, level)
            tokens = tokens.at[end:last].set(level.tokens)
        parents = jnp.maximum(tree.parents[1:] - 1, NO_NODE)
        grown = self.growth.finish(memory, parents, tree.active[1:])
        # nothing is drawn from the laws of the last level: any will do
        size = self.growth.widths[-1], self.model.vocabulary
        laws.append(jnp.full(size, 1 / self.model.vocabulary, jnp.float32))
        draft = Draft(
            grown.topology,
            tokens[1:][grown.places],
            _rows(jnp.concatenate(laws), grown.places),
            self.growth.scheme,
        )
        return draft, _State(cache, state.recent, jnp.asarray(grown.places, jnp.int32))

    def observe(self, state: _State, verdict: Verdict, features: PyTree) -> _State:
        """Keep the row of the token before the root, and those of the path but its last."""
        rows = jnp.where(verdict.path == NO_NODE, NO_NODE, 1 + state.places[verdict.path])
        path = jnp.append(ROOT, rows)
        path = jnp.where(jnp.arange(path.shape[0]) < verdict.length, path, NO_NODE)
        alone = state.recent[0] == NO_TOKEN
        path = jnp.where(alone, jnp.append(path[1:], NO_NODE), path)
        said = jnp.concatenate([state.recent, verdict.tokens])
        recent = jnp.stack([said[verdict.length], said[verdict.length + 1]])
        return _State(self.model.commit(state.cache, path), recent, state.places)


def _after(alone: Bool[Array, ""], tree: Topology) -> Topology:
    """The tree below the token before the root; alone, the root has no token before it."""
    depth = jnp.maximum(jnp.asarray(tree.depth) - alone, 0)
    above = jnp.where(alone, NO_NODE, ROOT)
    parents = jnp.asarray(tree.parents).at[1].set(above)
    return dataclasses.replace(tree, parents=parents, depth=depth)


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
