"""Texts that specjax carries: prompts for models of plain text, and those that fit an adapter."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from specjax.models._base import Tokenizer

WINDOW = 256
FITTED = ("britannica.txt", "bytes.txt")
FITTED_BYTES = 20_000
DATA = Path(__file__).parent / "data"
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


def fitting_windows(tokenizer: Tokenizer) -> Int[np.ndarray, "B T"]:
    """Token ids of the public texts on which the adapter is fitted.

    The prompts are not among these texts.
    """
    ids = [tokenizer.encode((DATA / name).read_bytes()[:FITTED_BYTES].decode()) for name in FITTED]
    return np.concatenate(
        [np.array(text[: len(text) // WINDOW * WINDOW]).reshape(-1, WINDOW) for text in ids]
    )
