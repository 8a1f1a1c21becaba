"""Qwen3: Llama whose queries and keys are normalised head by head."""

import dataclasses

from specjax.models.architectures import llama
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

KEYS = llama.KEYS | {
    "model.layers.{}.self_attn.q_norm.weight": "blocks/{}/query_norm/scale",
    "model.layers.{}.self_attn.k_norm.weight": "blocks/{}/key_norm/scale",
}
laid = llama.laid


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    fields.only("use_sliding_window", False)
    return dataclasses.replace(llama.config(fields), head_norm=True)
