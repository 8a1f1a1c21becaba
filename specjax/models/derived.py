"""Transformers made out of another one: some of its blocks, a map before its head, fewer tokens."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from specjax.models.transformer import Transformer


def subset(
    model: Transformer, params: PyTree, layers: tuple[int, ...]
) -> tuple[Transformer, PyTree]:
    """The model that runs only these blocks of another model, and shares its weight arrays.

    Args:
      model: the other model.
      params: its weights.
      layers: the numbers of the blocks.

    Returns:
      The model and its weights.

    Raises:
      ValueError: a layer is not one of the model's.
    """
    if not set(layers) <= set(range(model.config.layers)) or not layers:
        raise ValueError(
            f"layers: expected numbers from 0 to {model.config.layers - 1}, got {layers}"
        )
    blocks = {i: params["blocks"][layer] for i, layer in enumerate(layers)}
    local = tuple(i for i, layer in enumerate(layers) if layer in model.config.local_layers)
    config = dataclasses.replace(model.config, layers=len(layers), local_layers=local)
    return Transformer(config), {**params, "blocks": blocks}


def adapted(model: Transformer, params: PyTree, adapter: PyTree) -> tuple[Transformer, PyTree]:
    """The model with an affine map between its last block and the final norm.

    Args:
      model: the model without the map.
      params: its weights.
      adapter: `kernel` [E, E] and `bias` [E].

    Returns:
      The model and its weights.
    """
    config = dataclasses.replace(model.config, adapter=True)
    made = dataclasses.replace(model, config=config)
    return made, {**params, "adapter": jax.tree.map(jnp.asarray, adapter)}


def cut(model: Transformer, params: PyTree, vocabulary: int) -> tuple[Transformer, PyTree]:
    """The model without the columns of its embedding and head from `vocabulary` on.

    Args:
      model: the other model.
      params: its weights.
      vocabulary: how many tokens stay.

    Returns:
      The model and its weights.
    """
    if vocabulary == model.vocabulary:
        return model, params
    config = dataclasses.replace(model.config, vocabulary=vocabulary)
    kept = {**params, "embed": {"kernel": params["embed"]["kernel"][:, :vocabulary]}}
    if not config.tied and config.known is None:
        kept["unembed"] = {"kernel": params["unembed"]["kernel"][:, :vocabulary]}
    return Transformer(config), kept
