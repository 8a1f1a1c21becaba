"""Language models: Markov chains, transformers, penalties, pairs of target and draft."""

from specjax.models import pairs
from specjax.models._base import LanguageModel, Pair, Scores, Tokenizer, longest, prefill
from specjax.models.function import Function
from specjax.models.penalised import Penalised

__all__ = [
    "Function",
    "LanguageModel",
    "Pair",
    "Penalised",
    "Scores",
    "Tokenizer",
    "longest",
    "pairs",
    "prefill",
]


def __dir__() -> list[str]:
    return sorted(__all__)
