"""Gemma 3, text alone: Gemma 2 with normalised queries and keys, five of six layers local."""

import dataclasses

from specjax.models.architectures import _layout, gemma2, llama
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config

KEYS = gemma2.KEYS | {
    "model.layers.{}.self_attn.q_norm.weight": "blocks/{}/query_norm/scale",
    "model.layers.{}.self_attn.k_norm.weight": "blocks/{}/key_norm/scale",
}
laid = _layout.laid_from_one


def config(fields: Fields) -> Config:
    """The shape of the decoder that these fields describe.

    Raises:
      ValueError: a field has a value that is not supported.
    """
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        fields.only(name, None)
    rope = fields.part("rope_parameters")  # of newer files; older ones have two fields in its place
    every, local = rope.part("full_attention"), rope.part(gemma2.LOCAL)
    local.only("rope_type", "default")
    base = gemma2.shape(fields, fields.get("sliding_window_pattern", 6))
    theta = float(every.get("rope_theta", fields.get("rope_theta", 1e6)))
    scaling = every if every.held else fields.part("rope_scaling")
    return dataclasses.replace(
        base,
        head_norm=True,
        rope_theta=theta,
        local_theta=float(local.get("rope_theta", fields.get("rope_local_base_freq", 1e4))),
        stretch=llama.stretch(scaling, theta, base.head_width),
    )
