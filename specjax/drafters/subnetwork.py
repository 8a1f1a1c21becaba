"""Parts of the target draft a tree on the target's cache."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, PyTree

from specjax._types import Count, Index, RandomKey
from specjax.drafters._base import Held
from specjax.drafters._levels import grow
from specjax.models import Scores
from specjax.models.transformer import Cache, Transformer
from specjax.numerics import AS_IS, Sampling
from specjax.trees import Draft, Topology, TreeDrafting, Verdict
from specjax.trees.growth import blank


@dataclasses.dataclass(frozen=True)
class Subnetwork:
    """Grows a tree from the law of parts of the target, which read the target's cache.

    Drafts attend to the target's rows of the committed text and to their own rows of the drafts
    above them. All rows of drafts are thrown away: the target's forward writes its own. So there is
    no second prefill, and the state is the last token alone.

    Attributes:
      model: the target's shape with a plan; its params are the target's, perhaps with an adapter.
      growth: the tree scheme.
      sampling: how logits become q.

    Cost: one forward of the parts for each level of drafts.

    Raises:
      ValueError: the tree has no drafts.
    """

    model: Transformer
    growth: TreeDrafting
    sampling: Sampling = AS_IS
    features: ClassVar[tuple[int, ...]] = ()

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
    ) -> Index:
        """The last token."""
        return prompt[length - 1].astype(jnp.int32)

    def propose(
        self, key: RandomKey, params: PyTree, state: Index, target: Held
    ) -> tuple[Draft, Index]:
        """A tree on a copy of the target's cache.

        Raises:
          ValueError: the target's cache is not that of a transformer of this shape.
        """
        cache = self._rows(target.cache)
        tree = blank(self.growth.widths, 1)
        score = functools.partial(self.model.score, params)
        grown = grow(self.growth, self.sampling, key, score, cache, tree, state[None])
        return grown.draft, state

    def _rows(self, held: PyTree) -> Cache:
        """The target's cache, with room for nodes that are grown and never verified."""
        cache = held
        while not isinstance(cache, Cache) and hasattr(cache, "inner"):
            cache = cache.inner
        layers = self.model.config.layers
        if not isinstance(cache, Cache) or len(cache.keys) != layers:
            raise ValueError(
                f"target: expected the cache of a transformer of {layers} blocks, got a "
                f"{type(held).__name__}"
            )
        dropped = sum(self.growth.widths) - self.topology.nodes
        room = ((0, 0), (0, dropped), (0, 0))
        keys, values = jax.tree.map(lambda rows: jnp.pad(rows, room), (cache.keys, cache.values))
        return Cache(keys, values, cache.length)

    def observe(self, state: Index, draft: Draft, scores: Scores, verdict: Verdict) -> Index:
        """The last token that was emitted."""
        last = verdict.tokens[jnp.maximum(verdict.length - 1, 0)]
        return jnp.where(verdict.length > 0, last, state).astype(jnp.int32)

    def learned(self, state: Index) -> tuple[()]:
        """Nothing."""
        return ()
