"""Decoders audited: what they emit has the law that was asked for, however logits become laws.

The referee transforms the logits by itself and draws every tree from its own draft law. The decoder
scores and verifies these trees.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

import theory
from experiments.audits.outcomes import OK, Outcome
from experiments.audits.tolerances import EXACT
from experiments.enumeration import decoder_laws
from specjax import decode, rules, trees
from specjax.decode import Decoder, Params
from specjax.models import Pair, Penalised
from specjax.models.markov import Markov
from specjax.models.pairs.markov import Letters
from specjax.numerics import Sampling
from specjax.numerics.sampling import ORDER
from theory.penalties import Penalties

NAME = "decode"  # what the command calls this audit
SCHEME = "iid"
SEED = 0
PROMPT = (2, 0, 3, 0)
# the 24 orders of these make 12 laws of two tokens, at least .025 apart (a test): top-k may change
# places with temperature and with min-p
CUTS = Sampling(temperature=1.5, top_k=13, top_p=0.74, min_p=0.17)
WARM = Sampling(1.4, top_k=5)
PENALTIES = Penalties(
    bias=((1, 0.5), (3, -1.0)), repetition=1.5, presence=0.4, bad_words=((2,), (0, 1), (3, 0, 4))
)


class Side(NamedTuple):
    """How the logits of one model become laws."""

    sampling: Sampling
    penalties: Penalties | None = None


class Case(NamedTuple):
    """Both models, and the rule by which a tree is verified."""

    target: Side
    draft: Side
    vocabulary: int = 32
    tree: str = "chain:1"
    rule: str = "single"


class Row(NamedTuple):
    """Some ways of a decoder to make laws of logits.

    Attributes:
      transforms: what happens to the logits.
      tv: the largest total variation between emitted sequences and those that were asked for.
      verdict: "ok", or what is wrong.
      scope: on what the verdict rests, in short up to the colon.
    """

    transforms: str
    scheme: str
    tree: str
    tv: float
    verdict: Outcome
    scope: str


def cases() -> dict[str, list[Case]]:
    """What is audited, by name."""
    orders = itertools.permutations(ORDER)
    sides = [Side(dataclasses.replace(CUTS, order=order)) for order in orders]
    warm = Side(WARM)
    penalised = Side(WARM, PENALTIES)
    tree = 6, "full:2,1", "recursive_rejection"
    return {
        "temperature, top-k, top-p, min-p": [Case(side, side) for side in sides],
        "the same, others for the draft": [Case(sides[0], warm), Case(warm, sides[-1])],
        "penalties": [Case(penalised, penalised, *tree)],
        "penalties of the target": [Case(penalised, warm, *tree)],
    }


def audit(
    name: str, asked: Sequence[Case], change: Callable[[Decoder], Decoder] = lambda made: made
) -> Row:
    """The verdict on some cases of one tree; `change` plants an error."""
    losses = [loss(case, change) for case in asked]
    worst = int(np.argmax(losses))
    verdict = OK
    if not losses[worst] <= EXACT:
        sampling = asked[worst].target.sampling
        verdict = Outcome(f"emits another law than that of {sampling}: TV {losses[worst]:.3g}")
    scope = (
        f"V = {asked[0].vocabulary}, {len(asked)} decoder{'s' * (len(asked) > 1)}: every tree "
        "after a prompt, ties and masked tokens, float64"
    )
    return Row(name, SCHEME, asked[0].tree, max(losses), verdict, scope)


def loss(case: Case, change: Callable[[Decoder], Decoder]) -> float:
    """The total variation between what a step emits, continued by the target, and the target's
    law.
    """
    topology = trees.parse(case.tree)
    p, q = logits(case.vocabulary)
    target = functools.partial(law, p, case.target)
    draft = functools.partial(law, q, case.draft)
    pair = Pair(
        target=_model(case.vocabulary, case.target.penalties),
        target_params=p,
        draft=_model(case.vocabulary, case.draft.penalties),
        draft_params=q,
        tokenizer=Letters(),
        eos=-1,
        prompts=(),
    )
    decoder = decode.decoder(pair, topology, SCHEME, case.target.sampling, case.draft.sampling)
    verifier = decode.verifier(rules.get(case.rule)(), SCHEME, topology)
    drawn = decoder_laws.drawn(topology, SCHEME, PROMPT, target, draft)
    laws = decoder_laws.laws(change(decoder), verifier, Params(p, q), PROMPT, drawn)
    return theory.trees.loss(drawn, laws)


def _model(vocabulary: int, penalties: Penalties | None) -> Markov | Penalised:
    chain = Markov(vocabulary)
    return Penalised(chain, **vars(penalties)) if penalties else chain


def logits(vocabulary: int) -> decoder_laws.Tables:
    """The logits [V, V] after each token, of target and draft: with ties, and masked tokens."""
    rng = np.random.default_rng(SEED)
    target, draft = np.round(4 * rng.standard_normal((2, vocabulary, vocabulary))) / 4
    target[np.arange(vocabulary), rng.integers(vocabulary, size=vocabulary)] = -np.inf
    draft[:, -1] = -np.inf
    return target, draft


def law(table: theory.penalties.Logits, side: Side, text: Sequence[int]) -> decoder_laws.Law:
    """The law of what follows a text, by the referee."""
    logits = theory.penalties.penalised(table[text[-1]], text, side.penalties or Penalties())
    steps = [(step, float(getattr(side.sampling, step))) for step in side.sampling.order]
    return theory.sampling.law(logits, steps)
