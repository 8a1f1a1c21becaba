"""A Llama as a Hugging Face folder."""

import functools
import json
import operator
from pathlib import Path

from safetensors.flax import save_file

from specjax.models._tokenizers import FastTokenizer
from specjax.models.architectures import llama
from specjax.models.config import Config


def write(folder: Path, config: Config, params, tokenizer: FastTokenizer) -> None:
    """Write config.json, model.safetensors and tokenizer.json; the head is tied."""
    fields = {
        "model_type": "llama",
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "intermediate_size": config.hidden,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": config.window,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(fields))
    weights = {}
    for name, path in llama.KEYS.items():
        for layer in range(config.layers if "{}" in name else 1):
            parts = path.format(layer).split("/")
            if parts[0] != "unembed":
                place = [int(part) if part.isdigit() else part for part in parts]
                array = functools.reduce(operator.getitem, place, params)
                weights[name.format(layer)] = array.T if parts[-1] == "kernel" else array
    save_file(weights, folder / "model.safetensors")
    tokenizer.inner.save(str(folder / "tokenizer.json"))
