"""A random Markov chain and its perturbed draft over the letters a to z.

This pair is the test bed: every law of it is known.
"""

import dataclasses

from specjax.models._base import Pair
from specjax.models.markov import Markov, random_tables

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclasses.dataclass(frozen=True)
class Letters:
    """One token for each letter; other characters count as `a`."""

    def encode(self, text: str) -> list[int]:
        return [max(0, LETTERS.find(c)) for c in text.lower()]

    def decode(self, tokens: list[int]) -> str:
        return "".join(LETTERS[t] for t in tokens)


def load() -> Pair:
    """The pair: order 2, mean entropy 2 nats, mean total variation .3 between target and draft."""
    model = Markov(len(LETTERS), 2)
    target, draft = random_tables(len(LETTERS), 2, entropy=2.0, distance=0.3, seed=0)
    prompts = tuple(LETTERS[i:] + LETTERS[:i] for i in range(0, len(LETTERS), 3))
    return Pair(model, target, model, draft, Letters(), -1, prompts)
