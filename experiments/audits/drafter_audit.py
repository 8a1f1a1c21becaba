"""Drafters audited: their drafts have the law that they state, and leave the target's law alone.

The target is a tiny random transformer, as some kinds of draft are made of its layers; the draft
model of a pair of Markov chains is audited as `model`. Both are sampled cold and trimmed. Trees and
texts are counted: each verdict says how many.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from experiments.audits import drafter_checks
from experiments.audits.drafter_under_audit import EMITTED, STEPS, DrafterUnderAudit
from experiments.audits.outcomes import Outcome, outcome
from experiments.stats.frequencies import allowance
from specjax import decode, trees
from specjax.decode import Decoder, Params
from specjax.models import Pair, drafts
from specjax.models.config import Config
from specjax.models.markov import Markov, random_tables
from specjax.models.pairs.markov import Letters
from specjax.models.transformer import Transformer
from specjax.numerics import Sampling
from specjax.verifiers import Traversal, Verifier

NAME = "drafter"  # what the command calls this audit: drafter:KIND
MODEL = "model"  # the draft model of a pair
TREE = "full:2,1"
SCHEME = "iid"
VOCABULARY = 4
COLD = Sampling(0.4, top_k=3)  # a token of the raw law shows
TINY = Config(vocabulary=VOCABULARY, width=8, layers=2, heads=2, kv_heads=1, hidden=16)
PEAKED = 8.0  # times its random embedding, a tiny model says something


class Row(NamedTuple):
    """A drafter.

    Attributes:
      tv: the total variation between the texts that were emitted and the target's.
      verdict: "ok", or what is wrong.
      scope: on what the verdict rests, in short up to the colon.
    """

    drafter: str
    scheme: str
    tree: str
    tv: float
    verdict: Outcome
    scope: str


def names() -> list[str]:
    """What is audited if nothing is named: the model, and each kind of draft that takes `1`."""
    return [MODEL, *filter(_is_draft, [f"{kind}:1" for kind in drafts.names()])]


def _is_draft(name: str) -> bool:
    try:
        drafts.load(name, layered())
    except ValueError:
        return False
    return True


def named(text: str) -> list[str]:
    """The drafters that a name of the command line names: `drafter:exit:1`, or `drafter` for all.

    Raises:
      ValueError: there is no such drafter.
    """
    _, _, name = text.partition(":")
    if not name:
        return names()
    pair(name)
    return [name]


@functools.cache
def layered() -> Pair:
    """A tiny random transformer, which drafts for itself."""
    model = Transformer(TINY)
    params = jax.jit(model.new_params)(jax.random.key(0))
    params |= {"embed": {"kernel": params["embed"]["kernel"] * PEAKED}}
    return Pair(model, params, model, params, Letters(), -1, ())


@functools.cache
def chains() -> Pair:
    """Two Markov chains."""
    model = Markov(VOCABULARY, 2)
    target, draft = random_tables(VOCABULARY, 2, entropy=1.2, distance=0.1, seed=1)
    return Pair(model, target, model, draft, Letters(), -1, ())


def pair(name: str) -> Pair:
    """The pair in which a drafter is audited.

    Raises:
      ValueError: there is no such draft.
    """
    if name == MODEL:
        return chains()
    if not drafts.named(name):
        known = ", ".join((MODEL, *drafts.names()))
        raise ValueError(f"drafter {name}: expected one of kind {known}")
    return drafts.load(name, layered())


def under_audit(
    name: str,
    seed: int = 0,
    change: Callable[[Decoder], Decoder] = lambda made: made,
    verifier: Verifier | None = None,
) -> DrafterUnderAudit:
    """A drafter with its test bed; `change` and `verifier` plant errors."""
    made = pair(name)
    decoder = change(decode.decoder(made, trees.parse(TREE), SCHEME, COLD))
    params = Params(made.target_params, made.draft_params)
    return DrafterUnderAudit(name, decoder, params, verifier or Traversal(), seed=seed)


def audit_all(asked: Sequence[str], seed: int) -> list[Row]:
    """The verdicts on drafters by name; those of one shape share their programs."""
    return [audit(under_audit(name, seed)) for name in asked]


def audit(audited: DrafterUnderAudit) -> Row:
    """The verdict on a drafter."""
    verdict = outcome(audited, drafter_checks.OF_ALL)
    _, law = audited.emitted
    allowed = allowance(law, audited.draws)
    scope = (
        f"V = {audited.vocabulary}, {audited.draws} trees and texts: {EMITTED} tokens each, after "
        f"a prompt, trees after {STEPS} steps, seed {audited.seed}; {allowed:.2g} of the texts' TV "
        "may be chance"
    )
    tv = drafter_checks.loss(audited)
    return Row(audited.name, audited.scheme, TREE, tv, verdict, scope)
