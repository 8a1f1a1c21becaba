"""What the decoding loop asks of a language model, and what a pair of models is."""

import dataclasses
import functools
from typing import NamedTuple, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax._types import Index
from specjax.trees import NO_NODE, Draft, Topology, Verdict, chain

# tokens of a prompt that are read together: memory grows with PIECE rows, not with the prompt
# squared
PIECE = 64
UNBOUNDED = 2**30


class Scores(NamedTuple):
    """The result of scoring nodes of a tree.

    Attributes:
      logits: [M, V], of what follows each node that was asked about.
      features: the features that were asked for, empty by default.
      cache: the cache to continue with.
    """

    logits: Float[Array, "M V"]
    features: PyTree
    cache: PyTree


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen, hashable model without weights.

    The weights travel as `params`, and the past as an opaque cache. `vocabulary` is V. The cache
    holds the committed tokens and scratch rows for one tree. Row 0 of a tree is the last committed
    token, which is not in the cache yet: `score` computes it, and `commit` puts it there.
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
        asked: slice = slice(None),
    ) -> Scores:
        """Score the nodes of the static range `nodes`, each given its ancestors.

        Earlier calls on the same cache and tree scored the rows before `nodes.start`. The logits
        are of what follows those of the scored nodes that are `asked` about, a static range.
        """
        ...

    def commit(self, cache: PyTree, path: Int[Array, " D"]) -> PyTree:
        """Keep the scored rows on `path` as committed tokens, and forget the others.

        `path` holds nodes, ROOT first, padded with NO_NODE.
        """
        ...


class Read(NamedTuple):
    """What remains of a prompt that was read.

    Attributes:
      cache: the cache; it holds all tokens of the prompt but the last.
      features: the features that were asked for, [P, ...] each; rows from length - 1 on are
        scratch.
    """

    cache: PyTree
    features: PyTree


@runtime_checkable
class Learner(LanguageModel, Protocol):
    """A language model whose params change while it drafts: a table that the target's laws feed.

    `learn` is called after each target call with the verified tree, the target's raw logits and
    features at all of its nodes, and the verdict. A verdict of length 0 changes nothing.
    """

    def learn(self, params: PyTree, draft: Draft, scores: Scores, verdict: Verdict) -> PyTree:
        """The params with which the next tree is scored."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back; `decode` never fails on ids below V."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: list[int]) -> str: ...


class Pair(NamedTuple):
    """A target and a draft model over one vocabulary, and what feeds them text.

    Attributes:
      target: the target model.
      target_params: its weights.
      draft: the draft model.
      draft_params: its weights.
      tokenizer: text to ids and back.
      eos: id of the token that ends a text, or several; -1 if there is none.
      prompts: held-out texts that neither model was fitted on.
      name: what rows call the pair.
    """

    target: LanguageModel
    target_params: PyTree
    draft: LanguageModel
    draft_params: PyTree
    tokenizer: Tokenizer
    eos: int | tuple[int, ...]
    prompts: tuple[str, ...]
    name: str = ""


def longest(model: LanguageModel) -> int:
    """The largest number of tokens of a text: what the model states as `longest`, if it does."""
    return int(getattr(model, "longest", UNBOUNDED))


def reading(model: LanguageModel, layers: tuple[int, ...]) -> LanguageModel:
    """The model whose scores have the hidden states after these layers as features.

    Args:
      model: the model, or a wrapper with an `inner` model.
      layers: numbers of blocks, as `Transformer.features` has them; -1 is the last.

    Returns:
      The model.

    Raises:
      ValueError: the model has no hidden states.
    """
    if not layers:
        return model
    if hasattr(model, "features") and dataclasses.is_dataclass(model):
        return cast(LanguageModel, dataclasses.replace(model, features=layers))
    if hasattr(model, "inner") and dataclasses.is_dataclass(model):
        return cast(LanguageModel, dataclasses.replace(model, inner=reading(model.inner, layers)))
    raise ValueError(f"{type(model).__name__}: has no hidden states to read")


@functools.partial(jax.jit, static_argnames=("model", "rows"))
def prefill(
    model: LanguageModel,
    params: PyTree,
    prompt: Int[Array, " P"],
    length: Index,
    rows: int,
) -> Read:
    """Read the first length - 1 tokens of a padded prompt.

    Token length - 1 becomes row 0 of the first tree. Outside jit, all decoders of a model share one
    trace. The prompt is read in pieces of PIECE tokens: beside the cache, memory is O(PIECE rows).

    Args:
      model: the model.
      params: its weights.
      prompt: token ids [P], padded.
      length: number of prompt tokens that count, at least 1.
      rows: number of rows of the cache, at least P, static.

    Returns:
      The cache and the features.
    """
    size = min(PIECE, prompt.shape[0])
    pieces = -(-prompt.shape[0] // size)
    padded = jnp.pad(prompt, (0, pieces * size - prompt.shape[0]))
    steps = jnp.arange(size)

    def score(index: Index, cache: PyTree) -> Scores:
        piece = jax.lax.dynamic_slice(padded, (index * size,), (size,))
        return model.score(params, cache, piece, chain(size - 1))

    def read(index: Index, past: Read) -> Read:
        first = index * size
        scores = score(index, past.cache)
        kept = jnp.where(first + steps < length - 1, steps, NO_NODE)
        features = jax.tree.map(
            lambda held, new: jax.lax.dynamic_update_slice_in_dim(held, new, first, 0),
            past.features,
            scores.features,
        )
        return Read(model.commit(scores.cache, kept), features)

    empty = model.init(max(rows, pieces * size), 0)
    features = jax.tree.map(
        lambda row: jnp.zeros((pieces * size, *row.shape[1:]), row.dtype),
        jax.eval_shape(score, jnp.int32(0), empty).features,
    )
    start = Read(empty, features)
    made: Read = jax.lax.fori_loop(0, -(-(length - 1) // size), read, start)
    return Read(made.cache, jax.tree.map(lambda rows: rows[: prompt.shape[0]], made.features))
