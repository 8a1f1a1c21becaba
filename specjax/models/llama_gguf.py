"""Llama weights and byte-pair tokenizers out of GGUF files; needs the packages `gguf` and
`tokenizers`.
"""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import tokenizers
from gguf import GGUFReader, dequantize
from jaxtyping import PyTree

from specjax.models.transformer import Config

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
    field = lambda name: reader.fields[f"llama.{name}"].contents()  # noqa: E731
    return Config(
        vocabulary=field("vocab_size"),
        width=field("embedding_length"),
        layers=field("block_count"),
        heads=field("attention.head_count"),
        kv_heads=field("attention.head_count_kv"),
        hidden=field("feed_forward_length"),
        rope_theta=field("rope.freq_base"),
        norm_eps=field("attention.layer_norm_rms_epsilon"),
        window=field("context_length"),
    )


def params(reader: GGUFReader, config: Config) -> PyTree:
    """The weights in float32, for `Transformer(config)`."""
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def array(name: str) -> np.ndarray:
        return dequantize(tensors[name].data, tensors[name].tensor_type)

    def leaf(block: int, ours: str) -> PyTree:
        weight = array(f"blk.{block}.{NAMES[ours]}.weight")
        if ours in ("query", "key"):
            weight = _halves(weight, config.head_width)
        return {"scale" if weight.ndim == 1 else "kernel": jnp.asarray(weight.T, jnp.float32)}

    return {
        "embed": {"embedding": jnp.asarray(array("token_embd.weight"))},
        "blocks": {i: {ours: leaf(i, ours) for ours in NAMES} for i in range(config.layers)},
        "norm": {"scale": jnp.asarray(array("output_norm.weight"))},
    }


def _halves(weight: np.ndarray, head: int) -> np.ndarray:
    """Rows of each head from rotary pairs (0, 1), (2, 3), .. back to halves: evens first, then
    odds.
    """
    return weight.reshape(-1, head // 2, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


@dataclasses.dataclass(frozen=True)
class BytePairs:
    """A byte-pair tokenizer that splits digits one by one; decoding keeps control tokens
    visible.
    """

    inner: tokenizers.Tokenizer

    def encode(self, text: str) -> list[int]:
        """Ids, control tokens in the text recognised."""
        return self.inner.encode(text).ids

    def decode(self, tokens: list[int]) -> str:
        """The text of these ids."""
        return self.inner.decode(tokens, skip_special_tokens=False)


def tokenizer(reader: GGUFReader) -> BytePairs:
    """The tokenizer in the file's metadata."""
    words, kinds, merges = (
        reader.fields[f"tokenizer.ggml.{name}"].contents()
        for name in ("tokens", "token_type", "merges")
    )
    pairs = [tuple(merge.split(" ")) for merge in merges]
    inner = tokenizers.Tokenizer(
        tokenizers.models.BPE({word: i for i, word in enumerate(words)}, pairs)
    )
    digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [digits, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens(
        [word for word, kind in zip(words, kinds, strict=True) if kind == CONTROL]
    )
    return BytePairs(inner)


def read(file: Path) -> tuple[Config, PyTree, BytePairs]:
    """Shape, weights (float32) and tokenizer of a GGUF file; about 3 s for 135M weights."""
    reader = GGUFReader(file)
    shape = config(reader)
    return shape, params(reader, shape), tokenizer(reader)
