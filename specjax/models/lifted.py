"""A model whose head knows some tokens only, as a model of all of them."""

import dataclasses

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, PyTree

from specjax.models._base import LanguageModel, Scores, longest
from specjax.trees import Topology


@dataclasses.dataclass(frozen=True)
class Lifted:
    """Gives the tokens that the head does not know the logit -inf: they are never drafted.

    What is verified is the law over all tokens, from which the drafts were drawn. Its params are
    the pair of the inner model's weights and the ids [S] of the tokens that its head knows.

    Attributes:
      inner: the model, with logits [M, S].
      vocabulary: V, the number of all tokens.
    """

    inner: LanguageModel
    vocabulary: int

    @property
    def longest(self) -> int:
        """The largest number of tokens of a text."""
        return longest(self.inner)

    def init(self, capacity: int, nodes: int) -> PyTree:
        """The inner model's cache."""
        return self.inner.init(capacity, nodes)

    def score(
        self,
        params: tuple[PyTree, Int[Array, " S"]],
        cache: PyTree,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        """The inner model's scores, lifted."""
        weights, ids = params
        scores = self.inner.score(weights, cache, tokens, topology, nodes, asked)
        shape = (scores.logits.shape[0], self.vocabulary)
        lifted = jnp.full(shape, -jnp.inf, scores.logits.dtype).at[:, ids].set(scores.logits)
        return Scores(lifted, scores.features, scores.cache)

    def commit(self, cache: PyTree, path: Int[Array, " D"]) -> PyTree:
        """The inner model's commit."""
        return self.inner.commit(cache, path)
