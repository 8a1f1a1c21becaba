"""A language model drafts a tree, level by level."""

import dataclasses
import functools
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int, PyTree

from specjax._types import Count, RandomKey
from specjax.drafters._base import Held
from specjax.drafters._levels import grow
from specjax.models import LanguageModel, Learner, Scores, prefill
from specjax.numerics import AS_IS, Sampling
from specjax.trees import NO_NODE, ROOT, Draft, Topology, TreeDrafting, Verdict
from specjax.trees.growth import blank

NO_TOKEN = -1


class _State(NamedTuple):
    """The drafter's state.

    Attributes:
      params: of a model that learns, its params by now; else ().
      cache: the cache of the model; it holds all committed tokens but the last two.
      recent: the last two committed tokens; NO_TOKEN is the first of a text of one token.
      places: [N], the place at which each node of the proposed tree was grown.
    """

    params: PyTree
    cache: PyTree
    recent: Int[Array, " 2"]
    places: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class ModelDrafter:
    """Grows a tree from the model's law at every node, on a cache of the model's own.

    If a node of the last level is accepted, the next tree scores it: row 0 of what the model scores
    is the token before the root. A model that learns goes on with the params that it learned.

    Cost: one forward for each level of drafts; the first is of two tokens.

    Raises:
      ValueError: the tree has no drafts.
    """

    model: LanguageModel
    growth: TreeDrafting
    sampling: Sampling = AS_IS
    features: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.topology.height < 1:
            raise ValueError("expected a tree with drafts; `NoDraft` decodes without")

    @property
    def topology(self) -> Topology:
        """The tree that is verified."""
        return self.growth.topology

    def init(
        self,
        params: PyTree,
        prompt: Int[Array, " P"],
        length: Count,
        rows: int,
        seen: PyTree,
    ) -> _State:
        dropped = sum(self.growth.widths) - self.topology.nodes  # grown, never verified
        before = jnp.maximum(length - 1, 1)
        read = prefill(self.model, params, prompt, before, rows + dropped)
        previous = jnp.where(length > 1, prompt[length - 2], NO_TOKEN)
        return _State(
            params if isinstance(self.model, Learner) else (),
            read.cache,
            jnp.stack([previous, prompt[length - 1]]).astype(jnp.int32),
            jnp.arange(self.topology.nodes, dtype=jnp.int32),
        )

    def propose(
        self, key: RandomKey, params: PyTree, state: _State, target: Held
    ) -> tuple[Draft, _State]:
        tree = _after(state.recent[0] == NO_TOKEN, blank((1, *self.growth.widths), 1))
        held = state.params if isinstance(self.model, Learner) else params
        score = functools.partial(self.model.score, held)
        grown = grow(self.growth, self.sampling, key, score, state.cache, tree, state.recent)
        return grown.draft, state._replace(cache=grown.cache, places=grown.places)

    def observe(self, state: _State, draft: Draft, scores: Scores, verdict: Verdict) -> _State:
        """Keep the row of the token before the root, and those of the path but its last."""
        rows = jnp.where(verdict.path == NO_NODE, NO_NODE, 1 + state.places[verdict.path])
        path = jnp.append(ROOT, rows)
        path = jnp.where(jnp.arange(path.shape[0]) < verdict.length, path, NO_NODE)
        alone = state.recent[0] == NO_TOKEN
        path = jnp.where(alone, jnp.append(path[1:], NO_NODE), path)
        said = jnp.concatenate([state.recent, verdict.tokens])
        params = state.params
        if isinstance(self.model, Learner):
            params = self.model.learn(params, draft, scores, verdict)
        return _State(
            params,
            self.model.commit(state.cache, path),
            jnp.stack([said[verdict.length], said[verdict.length + 1]]),
            state.places,
        )

    def learned(self, state: _State) -> PyTree:
        """The params of a model that learns."""
        return state.params


def _after(alone: Bool[Array, ""], tree: Topology) -> Topology:
    """The tree below the token before the root; alone, the root has no token before it."""
    depth = jnp.maximum(jnp.asarray(tree.depth) - alone, 0)
    above = jnp.where(alone, NO_NODE, ROOT)
    parents = jnp.asarray(tree.parents).at[1].set(above)
    return dataclasses.replace(tree, parents=parents, depth=depth)
