"""Language models: Markov chains, transformers, penalties, pairs of target and draft."""

from specjax.models import pairs
from specjax.models._base import (
    LanguageModel,
    Learner,
    Pair,
    Read,
    Scores,
    Tokenizer,
    longest,
    prefill,
    reading,
)
from specjax.models.function import Function
from specjax.models.penalised import Penalised

__all__ = [
    "Function",
    "LanguageModel",
    "Learner",
    "Pair",
    "Penalised",
    "Read",
    "Scores",
    "Tokenizer",
    "longest",
    "pairs",
    "prefill",
    "reading",
]


def __dir__() -> list[str]:
    return sorted(__all__)
