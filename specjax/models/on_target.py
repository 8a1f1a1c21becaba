"""A draft that runs parts of the target, and reads the target's cache."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax._types import Index
from specjax.models._base import Scores, prefill
from specjax.models.transformer import Cache, Transformer
from specjax.trees import Topology, chain

BATCH = 64  # positions that are scored together


@dataclasses.dataclass(frozen=True)
class OnTarget:
    """Parts of the target, which draft on the target's cache.

    A draft attends to what the whole target wrote of the committed text, and to what the parts
    write of the drafts above it. A decoder drafts with it by `drafters.Subnetwork`. As a plain
    language model it has a cache of its own, whose law is another one.

    Attributes:
      model: the target's shape with a plan. Its weights are the target's, perhaps with an adapter.
    """

    model: Transformer

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.model.vocabulary

    @property
    def longest(self) -> int:
        """The largest number of tokens of a text."""
        return self.model.longest

    def init(self, capacity: int, nodes: int) -> Cache:
        """An empty cache of its own."""
        return self.model.init(capacity, nodes)

    def score(
        self,
        params: PyTree,
        cache: Cache,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        """The scores on whatever cache is given, the target's or its own."""
        return self.model.score(params, cache, tokens, topology, nodes, asked)

    def commit(self, cache: Cache, path: Int[Array, " D"]) -> Cache:
        """Keep rows of its own cache."""
        return self.model.commit(cache, path)

    @functools.partial(jax.jit, static_argnames=("self", "depth"))
    def along(
        self, params: PyTree, text: Int[Array, " T"], depth: int = 1
    ) -> Float[Array, "C D V"]:
        """Logits of drafts that are the text itself.

        Entry [i, d] is of what follows token i + d, as a decode at length i + 1 drafts it: the
        target wrote the tokens before i, the draft wrote those from i to i + d.

        Args:
          params: the weights.
          text: the tokens.
          depth: the number of levels of drafts, static.

        Returns:
          The logits; C = T - depth + 1.

        Cost: a forward of the target for the text, and one of the draft for C depth rows.
        """
        target = dataclasses.replace(self.model, plan=None)
        held = prefill(target, params, text, jnp.int32(text.shape[0]), text.shape[0] + depth)

        def at(place: Index) -> Float[Array, "D V"]:
            rows = jax.lax.dynamic_slice(text, (place,), (depth,))
            cache = held.cache._replace(length=place)
            return self.model.score(params, cache, rows, chain(depth - 1)).logits

        places = jnp.arange(text.shape[0] - depth + 1)
        logits: Float[Array, "C D V"] = jax.lax.map(at, places, batch_size=BATCH)
        return logits
