"""A model whose logits change with what stands in the text so far."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from specjax.models._base import LanguageModel, Scores, longest
from specjax.trees import NO_NODE, Topology

NO_TOKEN = -1  # what stands before a text


class _Cache(NamedTuple):
    """What the penalties know of the committed text.

    Attributes:
      inner: the inner model's cache.
      seen: which tokens the text holds.
      history: the last tokens of the text, as many as a bad word may begin with.
      scored: the tokens of the tree.
    """

    inner: PyTree
    seen: Bool[Array, " V"]
    history: Int[Array, " H"]
    scored: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class Penalised:
    """Another model with penalties, in the order of the attributes.

    The text so far is the prompt, what was emitted, and at a node of a tree its ancestors and the
    node itself. So p at a node is a function of its path, and drafts are verified against the law
    of plain decoding with these penalties. The params are those of the inner model.

    Attributes:
      inner: the model without penalties.
      bias: pairs (token, what is added to its logit); -inf bans the token.
      repetition: > 0; divides positive logits of tokens in the text so far, and multiplies negative
        ones.
      presence: subtracted once from the logits of tokens in the text so far.
      bad_words: sequences of tokens; the last token of each is banned where the others end the
        text so far.

    Raises:
      ValueError: a number is out of its range, or a token is none of the model's.

    Example:
      >>> from specjax import models
      >>> pair = models.pairs.load("markov")
      >>> pair = pair._replace(target=models.Penalised(pair.target, repetition=1.2))
    """

    inner: LanguageModel
    bias: tuple[tuple[int, float], ...] = ()
    repetition: float = 1.0
    presence: float = 0.0
    bad_words: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 < self.repetition < math.inf or not math.isfinite(self.presence):
            raise ValueError(
                f"expected repetition > 0 and a finite presence, got {self.repetition} and "
                f"{self.presence}"
            )
        if not all(value < math.inf for _, value in self.bias):
            raise ValueError(f"bias: expected numbers below inf, got {self.bias}")
        if not all(map(len, self.bad_words)):
            raise ValueError("bad_words: expected at least one token in each")
        named = {token for token, _ in self.bias}.union(*self.bad_words)
        if unknown := [token for token in named if not 0 <= token < self.vocabulary]:
            raise ValueError(f"expected tokens from 0 to {self.vocabulary - 1}, got {min(unknown)}")

    @property
    def vocabulary(self) -> int:
        """The number of tokens."""
        return self.inner.vocabulary

    @property
    def longest(self) -> int:
        """The largest number of tokens of a text."""
        return longest(self.inner)

    @property
    def _past(self) -> int:
        """How many tokens a bad word may begin with."""
        return max(map(len, self.bad_words), default=1) - 1

    def init(self, capacity: int, nodes: int) -> _Cache:
        """The inner model's cache, and a text of no token."""
        return _Cache(
            inner=self.inner.init(capacity, nodes),
            seen=jnp.zeros(self.vocabulary, bool),
            history=jnp.full(self._past, NO_TOKEN, jnp.int32),
            scored=jnp.zeros(capacity + nodes, jnp.int32),
        )

    def score(
        self,
        params: PyTree,
        cache: _Cache,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        """The inner model's scores, penalised in float32 or wider."""
        scores = self.inner.score(params, cache.inner, tokens, topology, nodes, asked)
        logits = scores.logits.astype(jnp.promote_types(scores.logits.dtype, jnp.float32))
        rows = jnp.arange(topology.nodes)[nodes][asked]
        for token, value in self.bias:
            logits = logits.at[:, token].add(value)
        if self.repetition != 1 or self.presence != 0:
            logits = self._fewer_again(logits, _seen(cache, tokens, topology, rows))
        ends = self._ends(cache, tokens, topology, rows)
        for *first, last in self.bad_words:
            begun = ends[:, self._past - len(first) :] == jnp.array(first, jnp.int32)
            banned = jnp.where(jnp.all(begun, -1), -jnp.inf, logits[:, last])
            logits = logits.at[:, last].set(banned)
        scored = jax.lax.dynamic_update_slice(cache.scored, tokens.astype(jnp.int32), (0,))
        return Scores(logits, scores.features, cache._replace(inner=scores.cache, scored=scored))

    def commit(self, cache: _Cache, path: Int[Array, " D"]) -> _Cache:
        """The inner model's commit, and the tokens of the path."""
        kept = path != NO_NODE
        tokens = cache.scored[path]
        sequence = jnp.concatenate([cache.history, tokens])
        return cache._replace(
            inner=self.inner.commit(cache.inner, path),
            seen=_marked(cache.seen, jnp.where(kept, tokens, self.vocabulary)),
            history=jax.lax.dynamic_slice(sequence, (jnp.sum(kept),), (self._past,)),
        )

    def _fewer_again(
        self, logits: Float[Array, "M V"], seen: Bool[Array, "M V"]
    ) -> Float[Array, "M V"]:
        """The logits with both penalties on tokens that were seen."""
        repeated = jnp.where(logits > 0, logits / self.repetition, logits * self.repetition)
        return jnp.where(seen, repeated - self.presence, logits)

    def _ends(
        self,
        cache: _Cache,
        tokens: Int[Array, " N"],
        topology: Topology,
        rows: Int[Array, " M"],
    ) -> Int[Array, "M H"]:
        """The last tokens of the text so far at some nodes, the last one last."""
        parents, depth = jnp.asarray(topology.parents), jnp.asarray(topology.depth)[rows]
        ends = jnp.zeros((rows.shape[0], self._past), jnp.int32)
        node = rows
        for back in range(self._past):
            place = jnp.clip(self._past - back + depth, 0, self._past - 1)
            token = jnp.where(node == NO_NODE, cache.history[place], tokens[node])
            ends = ends.at[:, self._past - 1 - back].set(token.astype(jnp.int32))
            node = jnp.where(node == NO_NODE, NO_NODE, parents[node])
        return ends


def _seen(
    cache: _Cache, tokens: Int[Array, " N"], topology: Topology, rows: Int[Array, " M"]
) -> Bool[Array, "M V"]:
    """Which tokens the text so far holds at some nodes."""
    size = cache.seen.shape[0]
    held = jnp.where(topology.ancestors()[rows], tokens, size)
    return jax.vmap(_marked, (None, 0))(cache.seen, held)


def _marked(seen: Bool[Array, " V"], tokens: Int[Array, " N"]) -> Bool[Array, " V"]:
    """The marks, and one more for each token below V."""
    return seen.at[tokens].set(True, mode="drop")
