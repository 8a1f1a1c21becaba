"""A model in a local Hugging Face folder: config.json, safetensors and tokenizer.json.

This module needs the packages `safetensors` and `tokenizers`.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import tokenizers
from jax import Array
from jaxtyping import Int

from specjax.models import architectures
from specjax.models._loading import Loaded, filled, places
from specjax.models._tokenizers import FastTokenizer
from specjax.models.architectures._fields import Fields
from specjax.models.derived import cut
from specjax.models.lifted import Lifted
from specjax.models.transformer import Transformer

ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# tokens of a draft's head: each less its own place (EAGLE-3), or the ids themselves
OFFSETS, IDS = "d2t", "draft_token_ids"
PREFIXES = ("", "model.", "transformer.")  # a file without a head leaves out the last two


def load(folder: Path) -> Loaded:
    """The model in a folder.

    Rows of the embedding beyond the tokenizer's last id are padding, and are cut.

    Raises:
      ValueError: a file is missing or broken, or a field of config.json is not supported; the
        message names the file.
    """
    fields = Fields(folder / "config.json", _json(folder / "config.json"))
    family = _family(fields)
    config = family.config(fields)
    known = fields.get("draft_vocab_size", config.vocabulary)
    if known != config.vocabulary:
        config = dataclasses.replace(config, known=known, tied=False)
    tokenizer = _tokenizer(folder)
    expected = places(family, config)
    arrays = _arrays(folder, set(expected))
    params = filled(folder, config, expected, arrays, family.laid)
    used = min(config.vocabulary, len(tokenizer.tokens()))
    model, params = cut(Transformer(config), params, used)
    ends = _eos(folder, fields)
    if config.known is None:
        return Loaded(model, params, tokenizer, ends)
    return Loaded(Lifted(model, used), (params, _ids(folder, known, used)), tokenizer, ends)


def _ids(folder: Path, known: int, vocabulary: int) -> Int[Array, " S"]:
    """The tokens that a draft's head knows.

    Raises:
      ValueError: the weights do not say, or what they say are no tokens.
    """
    found = dict(_arrays(folder, {OFFSETS, IDS}))
    if not found:
        raise ValueError(f"{folder}: draft_vocab_size = {known} needs a weight {OFFSETS} or {IDS}")
    ids = found[IDS] if IDS in found else found[OFFSETS]
    if IDS not in found and ids.shape == (known,):
        ids = jnp.arange(known) + ids
    whole = np.unique(ids)
    if ids.shape != (known,) or whole.size != known or whole[0] < 0 or whole[-1] >= vocabulary:
        raise ValueError(
            f"{folder}: expected {known} different tokens below {vocabulary} in {OFFSETS} or {IDS}"
        )
    return ids.astype(jnp.int32)


def _family(fields: Fields) -> ModuleType:
    try:
        return architectures.get(fields.get("model_type"))
    except ValueError as error:
        raise ValueError(f"{fields.file}: {error}") from None


def _json(file: Path) -> dict[str, Any]:
    try:
        held: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file; expected a Hugging Face folder") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: no JSON: {error}") from None
    return held


def _tokenizer(folder: Path) -> FastTokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ValueError(f"{file}: no such file; save the tokenizer beside the weights")
    chat = _chat(folder)
    try:
        return FastTokenizer(tokenizers.Tokenizer.from_file(str(file)), *chat)
    except Exception as error:  # what `tokenizers` raises is no subclass
        raise ValueError(f"{file}: no tokenizer: {error}") from None


def _chat(folder: Path) -> tuple[str | None, dict[str, str]]:
    """The chat template, from a file of its own or tokenizer_config.json, and the named tokens."""
    file = folder / "tokenizer_config.json"
    held = _json(file) if file.is_file() else {}
    template = held.get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {one["name"]: one["template"] for one in template}.get("default")
    own = folder / "chat_template.jinja"
    named = {}
    for name, token in held.items():
        text = token.get("content") if isinstance(token, dict) else token
        if name.endswith("_token") and isinstance(text, str):
            named[name] = text
    return own.read_text() if own.is_file() else template, named


def _eos(folder: Path, fields: Fields) -> tuple[int, ...]:
    """The ids that config.json and generation_config.json name."""
    further = folder / "generation_config.json"
    held = [fields.get("eos_token_id", [])]
    if further.is_file():
        held.append(Fields(further, _json(further)).get("eos_token_id", []))
    ids = [one if isinstance(one, list) else [one] for one in held]
    return tuple(dict.fromkeys(itertools.chain(*ids)))


def _arrays(folder: Path, wanted: set[str]) -> Iterator[tuple[str, Array]]:
    """The wanted arrays, one after another."""
    for file in _files(folder):
        try:
            with safetensors.safe_open(file, framework="flax") as opened:
                for stored in opened.keys():  # noqa: SIM118 (it is no dict)
                    names = {prefix + stored for prefix in PREFIXES}
                    for name in wanted & names:
                        yield name, jnp.asarray(opened.get_tensor(stored))
        except (safetensors.SafetensorError, OSError) as error:
            raise ValueError(f"{file}: no safetensors: {error}") from None


def _files(folder: Path) -> list[Path]:
    """The files of weights: one, or the shards that the index names."""
    if (folder / ONE_FILE).is_file():
        return [folder / ONE_FILE]
    if not (folder / INDEX).is_file():
        raise ValueError(f"{folder}: no weights here; expected {ONE_FILE} or {INDEX}")
    shards = Fields(folder / INDEX, _json(folder / INDEX)).get("weight_map").values()
    files = [folder / name for name in dict.fromkeys(shards)]
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file}: no such file; {INDEX} names it")
    return files
