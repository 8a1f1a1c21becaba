"""What the decoding loop asks of a language model, and what a pair of them is."""

import functools
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax.trees import NO_NODE, Topology, chain


class Scores(NamedTuple):
    """logits [M, V] of what follows each scored node; features asked for (empty by default); the cache to go on with."""

    logits: Float[Array, "M V"]
    features: PyTree
    cache: PyTree


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen, hashable object without weights: the weights travel as `params`, the past as an opaque cache.

    `vocabulary` is V. The cache holds the committed tokens and scratch rows for one tree. Row 0 of a tree is the last
    committed token, which is not in the cache yet: `score` computes it, `commit` puts it there.
    """

    @property
    def vocabulary(self) -> int: ...

    def init(self, capacity: int, nodes: int) -> PyTree:
        """An empty cache for `capacity` committed tokens and trees of up to `nodes` nodes."""
        ...

    def score(self, params: PyTree, cache: PyTree, tokens: Int[Array, " N"], topology: Topology, nodes: slice = slice(None)) -> Scores:
        """Logits of what follows each node of the static range `nodes`, given the cache and the node's ancestors.

        The rows before `nodes.start` were scored by earlier calls on the same cache and tree.
        """
        ...

    def commit(self, cache: PyTree, path: Int[Array, " D"]) -> PyTree:
        """Keep the scored rows on `path` (ROOT first, padded with NO_NODE) as committed tokens, forget the others."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back; `decode` never fails on ids below V."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: list[int]) -> str: ...


class Pair(NamedTuple):
    """A target and a draft model over one vocabulary, with what is needed to feed them text.

    Attributes:
      target, draft: the models; `target_params`, `draft_params` their weights.
      tokenizer: text to ids and back.
      eos: id of the token that ends a text; -1 if there is none.
      prompts: held-out texts that neither model was fitted on.
    """

    target: LanguageModel
    target_params: PyTree
    draft: LanguageModel
    draft_params: PyTree
    tokenizer: Tokenizer
    eos: int
    prompts: tuple[str, ...]


@functools.partial(jax.jit, static_argnames=("model", "rows"))
def prefill(model: LanguageModel, params: PyTree, prompt: Int[Array, " P"], length: Int[Array, ""], rows: int) -> PyTree:
    """A cache of `rows` >= P rows in all that holds the first length - 1 tokens of a padded prompt.

    Token length - 1 becomes row 0 of the first tree. Called outside jit, all decoders of a model share one trace.
    """
    steps = jnp.arange(prompt.shape[0])
    scores = model.score(params, model.init(rows, 0), prompt, chain(prompt.shape[0] - 1))
    return model.commit(scores.cache, jnp.where(steps < length - 1, steps, NO_NODE))
