"""Tokenizers out of the metadata of GGUF files, as tokenizers of the package `tokenizers`."""

from collections.abc import Callable, Sequence
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors

from specjax._registry import find
from specjax.models._tokenizers import FastTokenizer
from specjax.models.architectures._fields import Fields

CONTROL, DEFINED, UNUSED = 3, 4, 5  # kinds of tokens; those at the end that are unused are padding
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what stands for a space
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# how bytes are split before they are paired, by the name of the split
SPLITS: dict[str, list[pre_tokenizers.PreTokenizer]] = {
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm": [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ],
}
for _name, _digits in {"llama-bpe": 3, "qwen2": 1}.items():
    SPLITS[_name] = [
        pre_tokenizers.Split(Regex(WORDS % _digits), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def read(fields: Fields, contents: Callable[[str], Any]) -> FastTokenizer:
    """The tokenizer that the metadata describes.

    Args:
      fields: the metadata without its lists.
      contents: a list, or the chat template, by its name.

    Raises:
      ValueError: its kind is not supported.
    """
    words: list[str] = contents("tokenizer.ggml.tokens")
    kinds: list[int] = contents("tokenizer.ggml.token_type")
    if words is None or kinds is None:
        raise ValueError(f"{fields.file}: it holds no tokenizer")
    used = 1 + max(index for index, kind in enumerate(kinds) if kind != UNUSED)
    words, kinds = words[:used], kinds[:used]
    fields.only("tokenizer.ggml.model", "gpt2", "llama")
    if fields.get("tokenizer.ggml.model") == "gpt2":
        inner = _of_bytes(fields, words, contents("tokenizer.ggml.merges"))
    else:
        inner = _of_pieces(fields, words, contents("tokenizer.ggml.scores"))
    kind_of = list(zip(words, kinds, strict=True))
    inner.add_special_tokens([word for word, kind in kind_of if kind == CONTROL])
    defined = [word for word, kind in kind_of if kind == DEFINED]
    inner.add_tokens([AddedToken(word, normalized=False) for word in defined])
    named = {
        f"{name}_token": words[fields.get(f"tokenizer.ggml.{name}_token_id")]
        for name in ("bos", "eos")
        if f"tokenizer.ggml.{name}_token_id" in fields.held
    }
    if fields.get("tokenizer.ggml.add_bos_token", False):
        first = named["bos_token"]
        inner.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, words.index(first))]
        )
    return FastTokenizer(inner, contents("tokenizer.chat_template"), named)


def _of_bytes(fields: Fields, words: Sequence[str], merges: Sequence[str]) -> tokenizers.Tokenizer:
    """Pairs of bytes, as GPT-2 has them."""
    halves = [merge.partition(" ") for merge in merges]
    pairs = [(left, right) for left, _, right in halves]
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(_ids(words), pairs))
    try:
        split = find(SPLITS, "tokenizer.ggml.pre", fields.get("tokenizer.ggml.pre", "gpt-2"))
    except ValueError as error:
        raise ValueError(f"{fields.file}: {error}") from None
    inner.pre_tokenizer = pre_tokenizers.Sequence(split)
    if fields.get("tokenizer.ggml.pre", "gpt-2") == "qwen2":
        inner.normalizer = normalizers.NFC()
    inner.decoder = decoders.ByteLevel()
    return inner


def _of_pieces(
    fields: Fields, words: Sequence[str], scores: Sequence[float]
) -> tokenizers.Tokenizer:
    """Pieces with scores, as SentencePiece has them: the best piece is joined first."""
    ids = _ids(words)
    unknown = words[fields.get("tokenizer.ggml.unknown_token_id", 0)]
    model = tokenizers.models.BPE(
        ids, _joins(words, scores, ids), unk_token=unknown, fuse_unk=True, byte_fallback=True
    )
    inner = tokenizers.Tokenizer(model)
    prefixed = fields.get("tokenizer.ggml.add_space_prefix", True)
    first = [normalizers.Prepend(SPACE)] if prefixed else []
    inner.normalizer = normalizers.Sequence([*first, normalizers.Replace(" ", SPACE)])
    last = [decoders.Strip(" ", 1, 0)] if prefixed else []
    inner.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )
    return inner


def _joins(
    words: Sequence[str], scores: Sequence[float], ids: dict[str, int]
) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, the best piece first."""
    order = sorted(range(len(words)), key=lambda index: -scores[index])
    found = []
    for index in order:
        word = words[index]
        halves = [(word[:at], word[at:]) for at in range(1, len(word))]
        both = [(left, right) for left, right in halves if left in ids and right in ids]
        found += sorted(both, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    return found


def _ids(words: Sequence[str]) -> dict[str, int]:
    return {word: index for index, word in enumerate(words)}
