"""A model in a GGUF file.

The fields and the names of weights are translated to those of a Hugging Face folder, so that the
families of `architectures` serve both. This module needs the packages `gguf` and `tokenizers`.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFReader, ReaderTensor, dequantize
from gguf.tensor_mapping import get_tensor_name_map
from jax import Array

from specjax.models import _gguf_tokenizers, architectures
from specjax.models._loading import Loaded, filled, places
from specjax.models.architectures import _layout
from specjax.models.architectures._fields import Fields
from specjax.models.config import Config
from specjax.models.derived import cut
from specjax.models.transformer import Transformer

# what the fields are called in config.json; a family reads those that it knows
NAMES = {
    "embedding_length": ("hidden_size", "n_embd"),
    "block_count": ("num_hidden_layers", "n_layer"),
    "feed_forward_length": ("intermediate_size", "n_inner"),
    "context_length": ("max_position_embeddings", "n_positions"),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.key_length": ("head_dim",),
    "attention.sliding_window": ("sliding_window",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon",),
    "rope.freq_base": ("rope_theta",),
    "rope.freq_base_swa": ("rope_local_base_freq",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
}
FAMILIES = {"gemma3": "gemma3_text"}  # those that a folder calls otherwise
# no field says that the queries of these two, known by their layers, have another factor
QUERY_SCALARS = {"gemma2 46": 144, "gemma3 62": 168}
PAIRED = ("llama",)  # files hold rotary pairs side by side
DIVISORS = "rope_freqs.weight"
ENDS = ("eos", "eot", "eom")


def load(file: Path) -> Loaded:
    """The model in a GGUF file, its weights in float32.

    Raises:
      ValueError: there is no such file or it is broken; a field, a weight or the tokenizer is not
        supported.

    Cost: about 3 s for 135M weights.
    """
    reader = _reader(file)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    fields = _fields(file, reader, tensors)
    kind = fields.get("architecture")
    try:
        family = architectures.get(FAMILIES.get(kind, kind))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    config = family.config(fields)
    fields.only("rope.dimension_count", config.head_width)
    if DIVISORS in tensors:
        divisors = _array(tensors[DIVISORS]).tolist()
        config = dataclasses.replace(config, stretch=tuple(divisors))
    expected = places(family, config)
    arrays = _arrays(kind, config, expected, tensors)
    params = filled(file, config, expected, arrays, _layout.laid)
    tokenizer = _gguf_tokenizers.read(fields, functools.partial(_contents, reader))
    used = min(config.vocabulary, len(tokenizer.tokens()))
    ids = [fields.get(f"tokenizer.ggml.{name}_token_id", None) for name in ENDS]
    ends = [one for one in ids if one is not None]
    return Loaded(*cut(Transformer(config), params, used), tokenizer, tuple(dict.fromkeys(ends)))


def _reader(file: Path) -> GGUFReader:
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    try:
        return GGUFReader(file)
    except (OSError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"{file}: no whole GGUF file: {error}") from None


def _fields(file: Path, reader: GGUFReader, tensors: dict[str, ReaderTensor]) -> Fields:
    """The metadata without its long lists, by the names of GGUF and by those of config.json."""
    short = [name for name in reader.fields if len(reader.fields[name].data) == 1]
    held = {name: _contents(reader, name) for name in short}
    kind = held.get("general.architecture")
    own = {name.removeprefix(f"{kind}."): value for name, value in held.items()}
    for name, theirs in NAMES.items():
        own |= dict.fromkeys(theirs, own.get(name))
    scaling = own.get("rope.scaling.type", "none")
    if scaling != "none":
        own["rope_scaling"] = {"rope_type": scaling, "factor": own.get("rope.scaling.factor")}
    if "token_embd.weight" not in tensors:
        raise ValueError(f"{file}: the weight token_embd.weight is missing")
    return Fields(
        file,
        own
        | {
            "architecture": kind,
            "vocab_size": int(tensors["token_embd.weight"].shape[1]),
            "tie_word_embeddings": "output.weight" not in tensors,
            "query_pre_attn_scalar": QUERY_SCALARS.get(
                f"{kind} {own.get('block_count')}", own.get("attention.key_length")
            ),
        },
    )


def _contents(reader: GGUFReader, name: str) -> Any:  # noqa: ANN401 (the file says of what type)
    """The value of a field of the file's metadata; None if it has none of that name."""
    field = reader.fields.get(name)
    return None if field is None else field.contents()


def _arrays(
    kind: str, config: Config, expected: dict[str, str], tensors: dict[str, ReaderTensor]
) -> Iterator[tuple[str, Array]]:
    """The arrays of the decoder that the file holds, by their names in a folder."""
    architecture = next(key for key, name in MODEL_ARCH_NAMES.items() if name == kind)
    names = get_tensor_name_map(MODEL_ARCH(architecture), config.layers)
    for name, path in expected.items():
        stem, _, leaf = name.rpartition(".")
        theirs = f"{names.get_name(stem)}.{leaf}"
        if theirs in tensors:
            array = _array(tensors[theirs])
            turned = path.split("/")[-2] in ("query", "key")
            halved = kind in PAIRED and turned
            yield name, jnp.asarray(_halves(array, config.head_width) if halved else array)


def _array(tensor: ReaderTensor) -> np.ndarray:
    """The numbers of a tensor, float32."""
    values: np.ndarray = dequantize(tensor.data, tensor.tensor_type)
    return values


def _halves(weight: np.ndarray, head: int) -> np.ndarray:
    """Rows of each head, from rotary pairs (0, 1), (2, 3), .. back to halves.

    The even rows come first, then the odd rows.
    """
    pairs = weight.reshape(-1, head // 2, 2, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape)
