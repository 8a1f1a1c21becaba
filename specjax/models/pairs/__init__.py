"""Pairs of target and draft model, one in each file, or out of local folders.

A file that is dropped into this folder can be named on the command line.
"""

import hashlib
import importlib
from pathlib import Path

from specjax._registry import find, load_file, public
from specjax.models import drafts
from specjax.models._base import Pair
from specjax.models.chat import chatting

_NAMES = public(__path__)
GGUF = ".gguf"
BETWEEN = "::"  # two folders in a name
CHAT = "::chat"  # behind a name: prompts are messages of a chat


def names() -> tuple[str, ...]:
    """The names of all pairs, sorted; a pair has the name of its file."""
    return _NAMES


def load(name: str) -> Pair:
    """The pair called `name`.

    Args:
      name: of a file of this package; or the path of a Python file with `load() -> Pair`; or
        `TARGET::DRAFT`, where TARGET is a Hugging Face folder, a GGUF file or another pair, and
        DRAFT another folder or file, or a kind of draft (`exit:4`, `skip:3,7`). With `::chat`
        behind it, prompts become messages of the user, by the chat template of the tokenizer.

    Raises:
      ValueError: there is no such pair, or its weights are not installed; a folder holds no model
        that is supported; there is no chat template.
    """
    if name.endswith(CHAT):
        return chatting(load(name.removesuffix(CHAT)))
    if BETWEEN in name:
        from specjax.models.pairs import _folders  # needs flax

        target, draft = name.split(BETWEEN, 1)
        if not _on_pair(target, draft):
            return _folders.load(target, draft)
        return drafts.load(draft, load(target))._replace(name=label(name))
    if name.endswith(".py"):
        module = load_file(name)
        if not hasattr(module, "load"):
            raise ValueError(f"{name}: expected a function load() -> Pair")
    else:
        places = {held: f"{__name__}.{held}" for held in _NAMES}
        expected = "a path to a .py file, two folders TARGET::DRAFT, or one of"
        module = importlib.import_module(find(places, "pair", name, expected))
    pair: Pair = module.load()
    return pair._replace(name=label(name))


def _on_pair(target: str, draft: str) -> bool:
    """Whether a kind of draft stands in for the draft model of a pair that is no folder."""
    return drafts.named(draft) and (target in _NAMES or target.endswith(".py"))


def is_model(path: Path) -> bool:
    """Whether a path may hold a model: a folder, or a GGUF file."""
    return path.is_dir() or path.suffix == GGUF


def label(name: str) -> str:
    """What rows call the pair called `name`.

    A folder has its own name and a hash of its weights, a Python file its own and a hash of its
    text; neither has a path.
    """
    if name.endswith(CHAT):
        return f"{label(name.removesuffix(CHAT))}+chat"
    if BETWEEN in name:
        from specjax.models.pairs import _folders  # needs flax

        target, draft = name.split(BETWEEN, 1)
        if not _on_pair(target, draft):
            return _folders.label(target, draft)
        return f"{label(target)}+{draft}"
    if name.endswith(".py") and Path(name).is_file():
        return f"{Path(name).stem}-{hashlib.sha256(Path(name).read_bytes()).hexdigest()[:8]}"
    return name
