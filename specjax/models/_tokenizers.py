"""Tokenizers of the package `tokenizers`, as models here take them."""

import dataclasses
from collections.abc import Mapping

import tokenizers

from specjax.models._base import Tokenizer


@dataclasses.dataclass(frozen=True)
class FastTokenizer(Tokenizer):
    """A tokenizer of the package `tokenizers`; it adds what it is told to, such as a BOS token.

    Decoding keeps control tokens visible.

    Attributes:
      inner: the tokenizer of the package.
      template: of a chat; None if there is none.
      named: control tokens by their names in the template, such as `bos_token`.
    """

    inner: tokenizers.Tokenizer
    template: str | None = None
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def encode(self, text: str) -> list[int]:
        """Ids, control tokens in the text recognised."""
        ids: list[int] = self.inner.encode(text).ids
        return ids

    def encode_bare(self, text: str) -> list[int]:
        """Ids, control tokens in the text recognised and none added."""
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: list[int]) -> str:
        """The text of these ids."""
        text: str = self.inner.decode(tokens, skip_special_tokens=False)
        return text

    def tokens(self) -> list[str | None]:
        """Every token by its id; None where an id has none."""
        ids: dict[str, int] = self.inner.get_vocab(with_added_tokens=True)
        found: list[str | None] = [None] * (max(ids.values()) + 1)
        for token, index in ids.items():
            found[index] = token
        return found
