"""GPT-2: LayerNorm, learned positions, a plain MLP, biases everywhere."""

import dataclasses
from typing import Any

from jax import Array

from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

# what is built like GPT-2 shares
OPTIONS: dict[str, Any] = dict.fromkeys(
    ("projection_bias", "centred", "biases", "learned_positions"), True
) | {"gated": False}
KEYS = {
    "transformer.wte.weight": "embed/kernel",
    "transformer.wpe.weight": "positions/embedding",
    "transformer.h.{}.ln_1.weight": "blocks/{}/attention_norm/scale",
    "transformer.h.{}.ln_1.bias": "blocks/{}/attention_norm/bias",
    "transformer.h.{}.attn.c_attn.weight": "blocks/{}/qkv/kernel",
    "transformer.h.{}.attn.c_attn.bias": "blocks/{}/qkv/bias",
    "transformer.h.{}.attn.c_proj.weight": "blocks/{}/out/kernel",
    "transformer.h.{}.attn.c_proj.bias": "blocks/{}/out/bias",
    "transformer.h.{}.ln_2.weight": "blocks/{}/mlp_norm/scale",
    "transformer.h.{}.ln_2.bias": "blocks/{}/mlp_norm/bias",
    "transformer.h.{}.mlp.c_fc.weight": "blocks/{}/up/kernel",
    "transformer.h.{}.mlp.c_fc.bias": "blocks/{}/up/bias",
    "transformer.h.{}.mlp.c_proj.weight": "blocks/{}/down/kernel",
    "transformer.h.{}.mlp.c_proj.bias": "blocks/{}/down/bias",
    "transformer.ln_f.weight": "norm/scale",
    "transformer.ln_f.bias": "norm/bias",
    "lm_head.weight": "unembed/kernel",
}


def laid(path: str, array: Array) -> Array:
    """An array of a file as the decoder holds it: all kernels but those of tokens lie so."""
    return array.T if path in ("embed/kernel", "unembed/kernel") else array


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    fields.only("activation_function", "gelu_new", "gelu_pytorch_tanh")
    fields.only("scale_attn_weights", True)
    fields.only("scale_attn_by_inverse_layer_idx", False)
    fields.only("add_cross_attention", False)
    width = fields.get("n_embd")
    base = Config(
        vocabulary=fields.get("vocab_size"),
        width=width,
        layers=fields.get("n_layer"),
        heads=fields.get("n_head"),
        kv_heads=fields.get("n_head"),
        hidden=fields.get("n_inner", 4 * width),
        norm_eps=fields.get("layer_norm_epsilon", 1e-5),
        longest=fields.get("n_positions"),
        tied=fields.get("tie_word_embeddings", True),
        activation="gelu",
    )
    return dataclasses.replace(base, **OPTIONS)
