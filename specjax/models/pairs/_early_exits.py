"""Pairs whose draft model is the target's first layers with a fitted adapter."""

import dataclasses
import hashlib
import inspect
from pathlib import Path

from specjax.models import early_exit, plan, texts
from specjax.models._base import Pair
from specjax.models._cache import cached
from specjax.models.derived import adapted
from specjax.models.on_target import OnTarget
from specjax.models.transformer import Transformer


def early_exit_pair(file: Path, exit_after: int) -> Pair:
    """The pair of the model in a GGUF file, in float32.

    The first call fits the adapter (about a minute), and keeps it in the cache folder.

    Args:
      file: the GGUF file.
      exit_after: how many layers draft.
    """
    from specjax.models import gguf_file  # needs packages that only these pairs need

    target, params, tokenizer, eos = gguf_file.load(file)
    assert isinstance(target, Transformer)  # no draft's head
    windows = texts.fitting_windows(tokenizer)
    recipe = [
        inspect.getsource(early_exit).encode(),
        windows.tobytes(),
        file.name.encode(),
        bytes([exit_after]),
    ]
    key = hashlib.sha256(b"".join(recipe)).hexdigest()[:16]
    adapter = cached(
        f"early-exit-{key}", lambda: early_exit.fit(target, params, windows, exit_after)
    )
    first = dataclasses.replace(target, plan=plan.first(exit_after))
    draft, draft_params = adapted(first, params, adapter)
    return Pair(target, params, OnTarget(draft), draft_params, tokenizer, eos, texts.PROMPTS)
