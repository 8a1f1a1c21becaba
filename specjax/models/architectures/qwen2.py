"""Qwen2 and Qwen2.5: Llama with a bias on query, key and value."""

import dataclasses

from specjax.models.architectures import llama
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

KEYS = llama.KEYS | {
    "model.layers.{}.self_attn.q_proj.bias": "blocks/{}/query/bias",
    "model.layers.{}.self_attn.k_proj.bias": "blocks/{}/key/bias",
    "model.layers.{}.self_attn.v_proj.bias": "blocks/{}/value/bias",
}
laid = llama.laid


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    fields.only("use_sliding_window", False)
    return dataclasses.replace(llama.config(fields), projection_bias=True)
