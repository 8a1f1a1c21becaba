"""Language models: Markov chains, transformers, and pairs of target and draft."""

from specjax.models import pairs
from specjax.models._base import LanguageModel, Pair, Scores, Tokenizer, prefill

__all__ = ["LanguageModel", "Pair", "Scores", "Tokenizer", "pairs", "prefill"]


def __dir__() -> list[str]:
    return sorted(__all__)
