"""OPT: LayerNorm, learned positions, a plain MLP with ReLU, biases everywhere."""

import dataclasses

from jax import Array

from specjax.models.architectures import _layout, gpt2
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

PADDING = 2  # rows of the table before that of the first position
BLOCK = "model.decoder.layers.{}."
PARTS = {
    "self_attn_layer_norm": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "out",
    "final_layer_norm": "mlp_norm",
    "fc1": "up",
    "fc2": "down",
}
KEYS = {
    "model.decoder.embed_tokens.weight": "embed/kernel",
    "model.decoder.embed_positions.weight": "positions/embedding",
    "model.decoder.final_layer_norm.weight": "norm/scale",
    "model.decoder.final_layer_norm.bias": "norm/bias",
    "lm_head.weight": "unembed/kernel",
}
for _theirs, _ours in PARTS.items():
    _leaf = "scale" if _ours.endswith("norm") else "kernel"
    KEYS[f"{BLOCK}{_theirs}.weight"] = f"blocks/{{}}/{_ours}/{_leaf}"
    KEYS[f"{BLOCK}{_theirs}.bias"] = f"blocks/{{}}/{_ours}/bias"


def laid(path: str, array: Array) -> Array:
    """An array of a file as the decoder holds it."""
    return array[PADDING:] if path == "positions/embedding" else _layout.laid(path, array)


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    fields.only("activation_function", "relu")
    fields.only("do_layer_norm_before", True)
    fields.only("_remove_final_layer_norm", False)
    fields.only("layer_norm_elementwise_affine", True)
    fields.only("enable_bias", True)
    width = fields.get("hidden_size")
    fields.only("word_embed_proj_dim", width)
    base = Config(
        vocabulary=fields.get("vocab_size"),
        width=width,
        layers=fields.get("num_hidden_layers"),
        heads=fields.get("num_attention_heads"),
        kv_heads=fields.get("num_attention_heads"),
        hidden=fields.get("ffn_dim"),
        norm_eps=1e-5,
        longest=fields.get("max_position_embeddings"),
        tied=fields.get("tie_word_embeddings", True),
        activation="relu",
    )
    return dataclasses.replace(base, **gpt2.OPTIONS)
