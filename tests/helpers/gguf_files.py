"""Folders of tiny models written as GGUF files, in the way of the converter of llama.cpp."""

import json
from pathlib import Path

import gguf
import numpy as np
import tokenizers
from gguf.tensor_mapping import get_tensor_name_map
from safetensors.numpy import load_file

ARCHITECTURES = {"gemma3_text": "gemma3"}
# of config.json, and what GGUF calls them
NUMBERS = {
    "hidden_size": "embedding_length",
    "n_embd": "embedding_length",
    "num_hidden_layers": "block_count",
    "n_layer": "block_count",
    "intermediate_size": "feed_forward_length",
    "n_inner": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "n_positions": "context_length",
    "num_attention_heads": "attention.head_count",
    "n_head": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "sliding_window": "attention.sliding_window",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_epsilon": "attention.layer_norm_epsilon",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # of GPT-2
CONTROL, NORMAL, UNUSED = 3, 1, 5


def write(folder: Path, file: Path, **changed: object) -> None:
    """The model of a folder as a GGUF file; `changed` metadata of the architecture."""
    fields = json.loads((folder / "config.json").read_text())
    kind = ARCHITECTURES.get(fields["model_type"], fields["model_type"])
    writer = gguf.GGUFWriter(file, kind)
    rope = fields.get("rope_parameters") or {}
    turns = rope.get("full_attention", rope)
    metadata = {NUMBERS[name]: value for name, value in fields.items() if name in NUMBERS and value}
    if "rope_theta" in turns:
        metadata["rope.freq_base"] = turns["rope_theta"]
    if turns.get("rope_type") == "linear":
        metadata |= {"rope.scaling.type": "linear", "rope.scaling.factor": turns["factor"]}
    for name, value in (metadata | changed).items():
        adders = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}
        adders[type(value)](f"{kind}.{name}", value)
    _tokenizer(writer, folder, fields["vocab_size"])
    _tensors(writer, folder, fields, kind)
    if turns.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", _divisors(turns, fields["head_dim"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(writer: gguf.GGUFWriter, folder: Path, fields: dict, kind: str) -> None:
    layers = fields.get("num_hidden_layers") or fields["n_layer"]
    architecture = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[kind]
    names = get_tensor_name_map(architecture, layers)
    heads = fields.get("num_attention_heads"), fields.get("num_key_value_heads")
    for name, array in load_file(folder / "model.safetensors").items():
        stem, _, leaf = name.rpartition(".")
        if kind == "llama" and stem.endswith(("q_proj", "k_proj")):
            split = array.reshape(heads[stem.endswith("k_proj")], 2, -1, array.shape[1])
            array = split.swapaxes(1, 2).reshape(array.shape)
        if kind.startswith("gemma") and stem.endswith("norm"):
            array = array + 1
        if kind == "gpt2" and name.endswith(TRANSPOSED):
            array = array.T
        writer.add_tensor(f"{names.get_name(stem)}.{leaf}", np.ascontiguousarray(array))


def _divisors(turns: dict, head: int) -> np.ndarray:
    """What the frequencies of Llama 3.1 are divided by, as the converter computes them."""
    frequencies = 1 / turns["rope_theta"] ** (np.arange(0, head, 2) / head)
    original = turns["original_max_position_embeddings"]
    found = []
    for frequency in frequencies:
        wave = 2 * np.pi / frequency
        low, high = turns["low_freq_factor"], turns["high_freq_factor"]
        smooth = (original / wave - low) / (high - low)
        if wave < original / high:
            found.append(1.0)
        elif wave > original / low:
            found.append(turns["factor"])
        else:
            found.append(1 / ((1 - smooth) / turns["factor"] + smooth))
    return np.array(found, np.float32)


def _tokenizer(writer: gguf.GGUFWriter, folder: Path, rows: int) -> None:
    """The letters of the folder's tokenizer as pieces without joins."""
    held = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    words = sorted(held, key=held.get)
    kinds = [CONTROL, CONTROL, *[NORMAL] * (len(words) - 2)]
    padding = rows - len(words)
    letters = [word.replace(" ", "▁") for word in words]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*letters, *map(_unused, range(padding))])
    writer.add_token_scores([0.0] * rows)
    writer.add_token_types([*kinds, *[UNUSED] * padding])
    writer.add_unk_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_space_prefix(False)


def _unused(index: int) -> str:
    return f"[PAD{index}]"
