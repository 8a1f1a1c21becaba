"""The laws of target and draft at contexts: what a pair says in texts that its target draws, or the
rows of two files.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.decoding import target_texts
from experiments.inputs import context_laws, model_logits
from specjax import decode
from specjax._types import RandomKey
from specjax.models import Pair, pairs
from specjax.numerics import Sampling


class PairLaws(NamedTuple):
    """The laws of C contexts in float64, which sum to 1.

    Attributes:
      p: target laws [C, V].
      q: draft laws [C, V].
      used: [B, T], which of T places in each of B texts are the C contexts; rows of files count as
        one text.
    """

    p: NDArray[np.float64]
    q: NDArray[np.float64]
    used: NDArray[np.bool_]

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the contexts [C] at their places [B, T]."""
        places = np.zeros(self.used.shape)
        places[self.used] = values
        return places


def load(name: str, sampling: Sampling, key: RandomKey, contexts: int) -> PairLaws:
    """At least one context of every text, at most so many in all.

    Args:
      name: of a pair, or `TARGET::DRAFT` with two files of laws or logits.
      sampling: how logits become laws.
      key: of the texts that the target draws.
      contexts: at least 1.

    Returns:
      The laws.

    Raises:
      ValueError: the pair or a file cannot be used, or contexts < 1.
    """
    if contexts < 1:
        raise ValueError(f"contexts: expected >= 1, got {contexts}")
    target, between, draft = name.partition(pairs.BETWEEN)
    if between and not pairs.is_model(Path(target)):
        read = context_laws.load(Path(target), Path(draft), sampling, contexts)
        return PairLaws(_whole(read.p), _whole(read.q), np.ones((1, len(read.p)), bool))
    pair = pairs.load(name)
    texts, used = _texts(pair, sampling, key, contexts)
    models = ((pair.target, pair.target_params), (pair.draft, pair.draft_params))
    laws = []
    for model, params in models:
        logits = model_logits.of_texts(model, params, texts)
        rows = [rows[-len(places) :][places] for rows, places in zip(logits, used, strict=True)]
        laws.append(_whole(np.asarray(sampling.law(jnp.asarray(np.concatenate(rows))))))
    p, q = laws
    return PairLaws(p, q, used)


def _texts(
    pair: Pair, sampling: Sampling, key: RandomKey, contexts: int
) -> tuple[list[list[int]], NDArray[np.bool_]]:
    """Texts without their last token, and which of their last places are contexts [B, T]."""
    prompts = pair.prompts[:contexts]
    count = contexts // len(prompts)
    read = decode.encoded(pair, prompts, count)
    drawn = target_texts.drawn(pair, sampling, key, *decode.padded(read), count)
    said = np.asarray(drawn.said)
    texts = [[*ids, *more[:-1].tolist()] for ids, more in zip(read, said, strict=True)]
    ends = np.isin(said, pair.eos)
    before = np.cumsum(ends, 1) - ends
    return texts, before == 0


def _whole(laws: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = laws.astype(np.float64)
    return wide / wide.sum(-1, keepdims=True)
