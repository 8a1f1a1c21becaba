"""A byte-level pair on Shakespeare, embedded in the package.

The models have 0.9M and 0.1M parameters; `specjax.training.bytes` trained them.
"""

from pathlib import Path

import jax

from specjax.models import packed
from specjax.models._base import Pair
from specjax.models.config import Config
from specjax.models.transformer import Transformer

DATA = Path(__file__).parents[1] / "data"
SEPARATOR = b"\x1e"
TARGET = Transformer(
    Config(vocabulary=256, width=128, layers=4, heads=2, kv_heads=1, hidden=384, window=128)
)
DRAFT = Transformer(
    Config(vocabulary=256, width=64, layers=2, heads=2, kv_heads=1, hidden=192, window=128)
)
PROMPTS = 16
PROMPT_BYTES = 128


class Bytes:
    """Text to UTF-8 bytes and back; bytes that are no UTF-8 decode to the replacement character."""

    def encode(self, text: str) -> list[int]:
        """Ids from 0 to 255."""
        return list(text.encode())

    def decode(self, tokens: list[int]) -> str:
        """The text of these ids."""
        return bytes(tokens).decode(errors="replace")


def held_out() -> list[bytes]:
    """The complete passages that neither model was trained on."""
    return (DATA / "bytes.txt").read_bytes().split(SEPARATOR)


def load() -> Pair:
    """The pair; its prompts are the beginnings of the first held-out passages."""
    like = jax.eval_shape(
        lambda: {
            "target": TARGET.new_params(jax.random.key(0)),
            "draft": DRAFT.new_params(jax.random.key(0)),
        }
    )
    params = packed.unpack(DATA / "bytes.npz", like)
    prompts = tuple(passage[:PROMPT_BYTES].decode() for passage in held_out()[:PROMPTS])
    return Pair(TARGET, params["target"], DRAFT, params["draft"], Bytes(), -1, prompts)
