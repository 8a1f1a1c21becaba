"""Llama weights and byte-pair tokenizers out of GGUF files.

This module needs the packages `gguf` and `tokenizers`.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import tokenizers
from gguf import GGUFReader, dequantize
from jaxtyping import PyTree

from specjax.models._joined import joined
from specjax.models._tokenizers import FastTokenizer
from specjax.models.config import Config

CONTROL = 3
NAMES = {
    "attention_norm": "attn_norm",
    "mlp_norm": "ffn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "out": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def config(reader: GGUFReader) -> Config:
    """The shape of the decoder in the file."""
    return Config(
        vocabulary=_field(reader, "llama.vocab_size"),
        width=_field(reader, "llama.embedding_length"),
        layers=_field(reader, "llama.block_count"),
        heads=_field(reader, "llama.attention.head_count"),
        kv_heads=_field(reader, "llama.attention.head_count_kv"),
        hidden=_field(reader, "llama.feed_forward_length"),
        rope_theta=_field(reader, "llama.rope.freq_base"),
        norm_eps=_field(reader, "llama.attention.layer_norm_rms_epsilon"),
        longest=_field(reader, "llama.context_length"),
    )


def _field(reader: GGUFReader, name: str) -> Any:  # noqa: ANN401 (the file says of what type)
    """The value of a field of the file's metadata."""
    return reader.fields[name].contents()


def params(reader: GGUFReader, config: Config) -> PyTree:
    """The weights in float32, for `Transformer(config)`."""
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def array(name: str) -> np.ndarray:
        tensor = tensors[name]
        values: np.ndarray = dequantize(tensor.data, tensor.tensor_type)
        return values

    def leaf(index: int, ours: str) -> PyTree:
        weight = array(f"blk.{index}.{NAMES[ours]}.weight")
        if ours in ("query", "key"):
            weight = _halves(weight, config.head_width)
        return {"scale" if weight.ndim == 1 else "kernel": jnp.asarray(weight.T, jnp.float32)}

    def block(index: int) -> PyTree:
        return {ours: leaf(index, ours) for ours in NAMES}

    held = {
        "embed": {"kernel": jnp.asarray(array("token_embd.weight").T)},
        "blocks": {i: block(i) for i in range(config.layers)},
        "norm": {"scale": jnp.asarray(array("output_norm.weight"))},
    }
    return joined(held)


def _halves(weight: np.ndarray, head: int) -> np.ndarray:
    """Rows of each head, from rotary pairs (0, 1), (2, 3), .. back to halves.

    The even rows come first, then the odd rows.
    """
    pairs = weight.reshape(-1, head // 2, 2, weight.shape[1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def tokenizer(reader: GGUFReader) -> FastTokenizer:
    """The byte-pair tokenizer in the file's metadata; it splits digits one by one."""
    words = _field(reader, "tokenizer.ggml.tokens")
    kinds = _field(reader, "tokenizer.ggml.token_type")
    pairs = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    vocabulary = {word: i for i, word in enumerate(words)}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, pairs))
    digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [digits, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = tokenizers.decoders.ByteLevel()
    control = [word for word, kind in zip(words, kinds, strict=True) if kind == CONTROL]
    inner.add_special_tokens(control)
    named = {
        f"{name}_token": words[_field(reader, f"tokenizer.ggml.{name}_token_id")]
        for name in ("bos", "eos")
        if f"tokenizer.ggml.{name}_token_id" in reader.fields
    }
    held = "tokenizer.chat_template"
    template = _field(reader, held) if held in reader.fields else None
    return FastTokenizer(inner, template, named)


def read(file: Path) -> tuple[Config, PyTree, FastTokenizer]:
    """Shape, weights (float32) and tokenizer of a GGUF file; about 3 s for 135M weights."""
    reader = GGUFReader(file)
    shape = config(reader)
    return shape, params(reader, shape), tokenizer(reader)
