"""What two models say of texts, written as files of logits."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from numpy.typing import NDArray

from experiments.cli import whole_files
from experiments.cli.console import progress
from experiments.inputs import prompt_files
from specjax import decode
from specjax.models import Function, LanguageModel, Pair
from specjax.models.on_target import OnTarget
from specjax.trees import NO_NODE, chain

PIECE = 64  # tokens of a text that are read at once


class Text(NamedTuple):
    """A text, and where its rows are.

    Attributes:
      first_row: the row of what follows its first token.
      tokens: the ids.
      text: as it was given.
    """

    first_row: int
    tokens: list[int]
    text: str


class Files(NamedTuple):
    """The two files, [T, V] in float32; a row for what follows each token, text after text.

    Attributes:
      target: of the target's logits.
      draft: of the draft's.
      shape: [T, V].
      texts: where each text's rows are.
    """

    target: Path
    draft: Path
    shape: tuple[int, int]
    texts: list[Text]


def write(pair: Pair, prompts: Path | None, folder: Path) -> Files:
    """Write target.npy and draft.npy, both whole or neither.

    Args:
      pair: the two models.
      prompts: a file of texts, in place of the pair's held-out prompts.
      folder: where the files go.

    Raises:
      ValueError: the texts cannot be read, or one has no token.
    """
    texts: list[Text] = []
    rows = 0
    read = prompt_files.read(prompts) if prompts else pair.prompts
    ids = decode.encoded(pair, read, 0)
    for text, tokens in zip(read, ids, strict=True):
        texts.append(Text(rows, tokens, text))
        rows += len(tokens)
    shape = (rows, pair.target.vocabulary)
    files = Files(folder / "target.npy", folder / "draft.npy", shape, texts)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (
        progress(pair.name, 2 * len(texts)) as step,
        whole_files.replaced(files.target) as target,
        whole_files.replaced(files.draft) as draft,
    ):
        for name, file, model, params in (
            ("target", target, pair.target, pair.target_params),
            ("draft", draft, pair.draft, pair.draft_params),
        ):
            np.lib.format.write_array_header_1_0(file, header)
            for part in of_texts(model, params, ids):
                file.write(part.astype("<f4").tobytes())
                step(name)
    return files


def of_texts(
    model: LanguageModel, params: PyTree, texts: list[list[int]]
) -> Iterator[NDArray[np.float32]]:
    """The logits [T, V] of each text. All texts share one program.

    A draft on the target's cache reads what the target wrote of all earlier tokens.
    """
    if isinstance(model, Function):
        yield from map(model.of_text, texts)
        return
    longest = -(-max(map(len, texts)) // PIECE) * PIECE
    for tokens in texts:
        if isinstance(model, OnTarget):
            whole = np.zeros(longest, np.int32)
            whole[: len(tokens)] = tokens
            yield np.asarray(model.along(params, whole))[: len(tokens), 0]
            continue
        cache = model.init(longest, 0)
        parts = []
        for first in range(0, len(tokens), PIECE):
            piece = tokens[first : first + PIECE]
            padded = np.zeros(PIECE, np.int32)
            padded[: len(piece)] = piece
            logits, cache = _read(model, params, cache, padded, len(piece))
            parts.append(np.asarray(logits)[: len(piece)])
        yield np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=0)
def _read(
    model: LanguageModel,
    params: PyTree,
    cache: PyTree,
    piece: Int[Array, " P"],
    count: Int[Array, ""],
) -> tuple[Float[Array, "P V"], PyTree]:
    """The logits of a padded piece, and the cache with its first `count` tokens."""
    scores = model.score(params, cache, piece, chain(PIECE - 1))
    places = jnp.arange(PIECE)
    kept = model.commit(scores.cache, jnp.where(places < count, places, NO_NODE))
    return scores.logits, kept
