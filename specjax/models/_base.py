"""What the decoding loop asks of a language model, and what a pair of them is."""

import functools
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax.trees import NO_NODE, Topology, chain

# tokens of a prompt that are read together: memory grows with PIECE rows, not with the prompt
# squared
PIECE = 64


class Scores(NamedTuple):
    """logits [M, V] of what follows each scored node; features asked for (empty by default); the
    cache to go on with.
    """

    logits: Float[Array, "M V"]
    features: PyTree
    cache: PyTree


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen, hashable object without weights: the weights travel as `params`, the past as an
    opaque cache.

    `vocabulary` is V. The cache holds the committed tokens and scratch rows for one tree. Row 0 of
    a tree is the last committed token, which is not in the cache yet: `score` computes it, `commit`
    puts it there.
    """

    @property
    def vocabulary(self) -> int: ...

    def init(self, capacity: int, nodes: int) -> PyTree:
        """An empty cache for `capacity` committed tokens and trees of up to `nodes` nodes."""
        ...

    def score(
        self,
        params: PyTree,
        cache: PyTree,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
    ) -> Scores:
        """Logits of what follows each node of the static range `nodes`, given the cache and the
        node's ancestors.

        The rows before `nodes.start` were scored by earlier calls on the same cache and tree.
        """
        ...

    def commit(self, cache: PyTree, path: Int[Array, " D"]) -> PyTree:
        """Keep the scored rows on `path` (ROOT first, padded with NO_NODE) as committed tokens,
        forget the others.
        """
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
      eos: id of the token that ends a text, or several; -1 if there is none.
      prompts: held-out texts that neither model was fitted on.
    """

    target: LanguageModel
    target_params: PyTree
    draft: LanguageModel
    draft_params: PyTree
    tokenizer: Tokenizer
    eos: int | tuple[int, ...]
    prompts: tuple[str, ...]


@functools.partial(jax.jit, static_argnames=("model", "rows"))
def prefill(
    model: LanguageModel,
    params: PyTree,
    prompt: Int[Array, " P"],
    length: Int[Array, ""],
    rows: int,
) -> PyTree:
    """A cache of `rows` >= P rows in all that holds the first length - 1 tokens of a padded prompt.

    Token length - 1 becomes row 0 of the first tree. Called outside jit, all decoders of a model
    share one trace. The prompt is read in pieces of PIECE tokens: beside the cache, memory is
    O(PIECE rows).
    """
    size = min(PIECE, prompt.shape[0])
    pieces = -(-prompt.shape[0] // size)
    padded = jnp.pad(prompt, (0, pieces * size - prompt.shape[0]))
    steps = jnp.arange(size)

    def read(index: Int[Array, ""], cache: PyTree) -> PyTree:
        first = index * size
        scores = model.score(
            params, cache, jax.lax.dynamic_slice(padded, (first,), (size,)), chain(size - 1)
        )
        return model.commit(scores.cache, jnp.where(first + steps < length - 1, steps, NO_NODE))

    whole = model.init(max(rows, pieces * size), 0)
    return jax.lax.fori_loop(0, -(-(length - 1) // size), read, whole)
