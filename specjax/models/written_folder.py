"""A decoder written as a Hugging Face folder of Llama, for other tools to load.

This module needs the packages `safetensors` and `tokenizers`.
"""

import dataclasses
import functools
import json
import operator
from pathlib import Path
from typing import Any

from jaxtyping import PyTree
from safetensors.flax import save_file

from specjax.models._joined import apart
from specjax.models._tokenizers import FastTokenizer
from specjax.models.architectures import llama
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config
from specjax.models.folder import ONE_FILE


def write(
    folder: Path,
    config: Config,
    params: PyTree,
    tokenizer: FastTokenizer,
    eos: int | None = None,
) -> None:
    """Write config.json, model.safetensors and tokenizer.json.

    Args:
      folder: exists.
      config: a shape that Llama has, with a tied head.
      params: the weights.
      tokenizer: text to ids and back; a chat template is not written.
      eos: the id of the token that ends a text, if there is one.

    Raises:
      ValueError: the shape is not one of Llama's.
    """
    fields = _fields(config) | {"eos_token_id": eos, "bos_token_id": None}
    read = llama.config(Fields(folder / "config.json", fields))
    if read != dataclasses.replace(config, head=config.head_width):
        raise ValueError(f"expected the shape of a Llama with a tied head, got {config}")
    split = apart(config, params)
    weights = {}
    for name, path in llama.KEYS.items():
        for layer in range(config.layers if "{}" in name else 1):
            parts = path.format(layer).split("/")
            if parts[0] != "unembed":
                place = [int(part) if part.isdigit() else part for part in parts]
                array = functools.reduce(operator.getitem, place, split)
                weights[name.format(layer)] = llama.laid(path, array)
    (folder / "config.json").write_text(json.dumps(fields, indent=2))
    save_file(weights, folder / ONE_FILE, {"format": "pt"})
    tokenizer.inner.save(str(folder / "tokenizer.json"))


def _fields(config: Config) -> dict[str, Any]:
    """The fields of config.json."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "intermediate_size": config.hidden,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": config.longest,
        "tie_word_embeddings": True,
    }
