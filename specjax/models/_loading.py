"""What a checkpoint holds, and how its arrays become the weights of a decoder."""

import functools
import operator
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PyTree

from specjax._types import RandomKey
from specjax.models._joined import apart, joined
from specjax.models._tokenizers import FastTokenizer
from specjax.models.config import Config
from specjax.models.lifted import Lifted
from specjax.models.transformer import Transformer


class Loaded(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      model: the decoder; `Lifted` if its head knows some tokens only.
      params: its weights.
      tokenizer: text to ids and back.
      eos: ids of the tokens that end a text; none if empty.
    """

    model: Transformer | Lifted
    params: PyTree
    tokenizer: FastTokenizer
    eos: tuple[int, ...]


def places(family: ModuleType, config: Config) -> dict[str, str]:
    """The path of every weight in the nested dict, by its name in a Hugging Face folder."""
    found: dict[str, str] = {}
    for name, path in family.KEYS.items():
        for layer in range(config.layers if "{}" in name else 1):
            found[name.format(layer)] = path.format(layer)
    if config.tied:
        found.pop("lm_head.weight", None)
    return found


def filled(
    source: Path,
    config: Config,
    expected: dict[str, str],
    arrays: Iterable[tuple[str, Array]],
    laid: Callable[[str, Array], Array],
) -> PyTree:
    """The weights as a nested dict; each array is laid out as it is read.

    Args:
      source: the file or folder, for messages.
      config: the shape of the decoder.
      expected: the path of every weight, by its name.
      arrays: names and arrays.
      laid: an array as the decoder holds it at a path.

    Raises:
      ValueError: a weight is missing, has another shape or holds a number that is not finite.
    """
    together = any("/qkv/" in path for path in expected.values())
    params: PyTree = jax.eval_shape(lambda key: _shapes(config, together, key), jax.random.key(0))
    missing = dict(expected)
    for name, array in arrays:
        path = missing.pop(name)
        *above, leaf = [int(part) if part.isdigit() else part for part in path.split("/")]
        held = functools.reduce(operator.getitem, above, params)
        placed = laid(path, array)
        if placed.shape != held[leaf].shape:
            raise ValueError(
                f"{source}: the weight {name} has shape {placed.shape} as it is laid out here, "
                f"expected {held[leaf].shape}"
            )
        if not jnp.isfinite(placed).all():
            raise ValueError(f"{source}: the weight {name} holds a number that is not finite")
        held[leaf] = placed
    if missing:
        raise ValueError(f"{source}: the weight {min(missing)} is missing")
    return params if together else joined(params)


def _shapes(config: Config, together: bool, key: RandomKey) -> PyTree:
    """Weights as the file holds them: query, key and value together or apart."""
    params = Transformer(config).new_params(key)
    return params if together else apart(config, params)
