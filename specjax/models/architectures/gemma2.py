"""Gemma 2: gated GELU, norms before and after, capped scores and logits, local layers."""

import dataclasses

from specjax.models.architectures import _layout, llama
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

KEYS = llama.KEYS | {
    "model.layers.{}.post_attention_layernorm.weight": "blocks/{}/attention_after/scale",
    "model.layers.{}.pre_feedforward_layernorm.weight": "blocks/{}/mlp_norm/scale",
    "model.layers.{}.post_feedforward_layernorm.weight": "blocks/{}/mlp_after/scale",
}
laid = _layout.laid_from_one
PERIOD = 2  # the layers 1, 3, .. see all positions, where the file names no kinds
LOCAL = "sliding_attention"


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    return dataclasses.replace(
        shape(fields, PERIOD),
        attention_cap=fields.get("attn_logit_softcapping", None),
        logit_cap=fields.get("final_logit_softcapping", None),
    )


def shape(fields: Fields, period: int) -> Config:
    """What Gemma 2 and 3 share.

    Args:
      fields: of config.json.
      period: each period-th layer sees all positions, where the file names no kinds.
    """
    fields.only("hidden_activation", "gelu_pytorch_tanh")
    fields.only("attention_bias", False)
    fields.only("use_bidirectional_attention", False)
    base = llama.shape(fields)
    usual = [LOCAL if (i + 1) % period else "full_attention" for i in range(base.layers)]
    kinds = fields.get("layer_types", usual)
    return dataclasses.replace(
        base,
        tied=fields.get("tie_word_embeddings", True),
        activation="gelu",
        embedding_scale=base.width**0.5,
        after_norms=True,
        query_scale=fields.get("query_pre_attn_scalar", 256) ** -0.5,
        local_layers=tuple(i for i, kind in enumerate(kinds) if kind == LOCAL),
        local_window=fields.get("sliding_window", 4096),
        local_theta=base.rope_theta,
    )
