"""How a user says that tokens of the text so far are less likely."""

import dataclasses

from specjax.models import LanguageModel, Pair, Penalised


@dataclasses.dataclass(frozen=True, kw_only=True)
class PenaltyOptions:
    """Penalties of target and draft alike.

    Attributes:
      repetition_penalty: divides positive logits of tokens in the text so far, and multiplies
        negative ones, of target and draft alike; the prompt counts.
      presence_penalty: subtracted once from these logits.
    """

    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0


NO_PENALTY = PenaltyOptions()


def penalised(pair: Pair, options: PenaltyOptions) -> Pair:
    """The pair with these penalties on both models.

    Raises:
      ValueError: a penalty is out of its range.
    """
    return pair._replace(
        target=_penalised(pair.target, options), draft=_penalised(pair.draft, options)
    )


def _penalised(model: LanguageModel, options: PenaltyOptions) -> LanguageModel:
    repetition, presence = options.repetition_penalty, options.presence_penalty
    if repetition == 1 and presence == 0:
        return model
    return Penalised(model, repetition=repetition, presence=presence)
