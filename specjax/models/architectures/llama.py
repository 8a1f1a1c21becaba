"""Llama 2, 3 and 3.1, and what is built like them: SmolLM, TinyLlama."""

import numpy as np

from specjax.models.architectures import _layout
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

KEYS = {
    "model.embed_tokens.weight": "embed/kernel",
    "model.layers.{}.input_layernorm.weight": "blocks/{}/attention_norm/scale",
    "model.layers.{}.post_attention_layernorm.weight": "blocks/{}/mlp_norm/scale",
    "model.layers.{}.self_attn.q_proj.weight": "blocks/{}/query/kernel",
    "model.layers.{}.self_attn.k_proj.weight": "blocks/{}/key/kernel",
    "model.layers.{}.self_attn.v_proj.weight": "blocks/{}/value/kernel",
    "model.layers.{}.self_attn.o_proj.weight": "blocks/{}/out/kernel",
    "model.layers.{}.mlp.gate_proj.weight": "blocks/{}/gate/kernel",
    "model.layers.{}.mlp.up_proj.weight": "blocks/{}/up/kernel",
    "model.layers.{}.mlp.down_proj.weight": "blocks/{}/down/kernel",
    "model.norm.weight": "norm/scale",
    "lm_head.weight": "unembed/kernel",
}
laid = _layout.laid


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    fields.only("hidden_act", "silu")
    fields.only("attention_bias", False)
    fields.only("mlp_bias", False)
    return shape(fields)


def shape(fields: Fields) -> Config:
    """What Llama shares with the families that are built like it."""
    heads = fields.get("num_attention_heads")
    rope = fields.part("rope_parameters")  # of newer files; older ones have two fields in its place
    theta = float(rope.get("rope_theta", fields.get("rope_theta", 1e4)))
    head = fields.get("head_dim", fields.get("hidden_size") // heads)
    return Config(
        vocabulary=fields.get("vocab_size"),
        width=fields.get("hidden_size"),
        layers=fields.get("num_hidden_layers"),
        heads=heads,
        kv_heads=fields.get("num_key_value_heads", heads),
        hidden=fields.get("intermediate_size"),
        rope_theta=theta,
        norm_eps=fields.get("rms_norm_eps", 1e-6),
        longest=fields.get("max_position_embeddings", 2**30),
        head=head,
        tied=fields.get("tie_word_embeddings", False),
        stretch=stretch(rope if rope.held else fields.part("rope_scaling"), theta, head),
    )


def stretch(rope: Fields, theta: float, head: int) -> tuple[float, ...] | None:
    """The divisors of the rotary angles that these fields describe; None if all are 1.

    `linear` divides all by one factor. Llama 3.1 divides those of long waves by it, keeps those of
    short waves, and mixes the two in between.

    Args:
      rope: the fields.
      theta: the base of the angles.
      head: width of a head.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    kind = "type" if "type" in rope.held else "rope_type"  # its name in older files
    rope.only(kind, "default", "linear", "llama3")
    if rope.get(kind, "default") == "default":
        return None
    factor = float(rope.get("factor"))
    if rope.get(kind) == "linear":
        return (factor,) * (head // 2)
    low, high = rope.get("low_freq_factor"), rope.get("high_freq_factor")
    original = rope.get("original_max_position_embeddings")
    waves = original * theta ** (-np.arange(0, head, 2) / head) / (2 * np.pi)
    kept = np.clip((waves - low) / (high - low), 0, 1)
    return tuple((1 / (kept + (1 - kept) / factor)).tolist())
