"""What a decode is made of, what travels from step to step, and what it returns."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from specjax._types import Count, NodeLaws, Scalar
from specjax.drafters import Drafter
from specjax.models import LanguageModel, Scores, reading
from specjax.numerics import AS_IS, Sampling
from specjax.trees import Draft

FINE, NO_TARGET_LAW, NO_DRAFT_LAW = range(3)  # a decode's status
STATUS = (
    "",
    "the target's logits hold NaN, or no finite one",
    "the draft model's logits hold NaN, or no finite one",
)


class Params(NamedTuple):
    """The weights of the target and of the drafter."""

    target: PyTree
    drafter: PyTree


@dataclasses.dataclass(frozen=True)
class Decoder:
    """What is fixed while decoding.

    A decoder is hashable by value, so that equal decoders share one trace.

    Attributes:
      target: the model whose law is emitted.
      drafter: the proposer of the tree.
      sampling: how the target's logits become p.
      eos: token that ends a text, or several; -1 for none.
      evidence: layers after which the target's hidden states go to the verifier, as
        `Draft.evidence`; for rules that read it.
    """

    target: LanguageModel
    drafter: Drafter
    sampling: Sampling = AS_IS
    eos: int | tuple[int, ...] = -1
    evidence: tuple[int, ...] = ()

    @property
    def read(self) -> LanguageModel:
        """The target, whose scores have the features of the drafter, then those of the verifier.

        Raises:
          ValueError: the target has no hidden states.
        """
        return reading(self.target, (*self.drafter.features, *self.evidence))


class DecodeState(NamedTuple):
    """The state of a decode between two steps.

    Attributes:
      tokens: [S], the prompt and the emitted tokens; rows from `length` on are scratch.
      length: number of committed tokens, the prompt included.
      limit: the largest number of tokens in all.
      done: EOS was emitted, the limit is reached, or a law is broken.
      status: FINE, or whose law is broken: NO_TARGET_LAW, NO_DRAFT_LAW.
      target: the target's cache.
      drafter: the drafter's state.
    """

    tokens: Int[Array, " S"]
    length: Count
    limit: Count
    done: Bool[Array, ""]
    status: Count
    target: PyTree
    drafter: PyTree


class Proposed(NamedTuple):
    """A tree that was drafted and scored, before its verification.

    Attributes:
      draft: the tree.
      p: [N, V], the target's law of what follows each node.
      scores: the target's raw logits and features at all nodes; no cache.
      state: the state between drafting and `commit`; it is done, and has a status, if a node has no
        law.
    """

    draft: Draft
    p: NodeLaws
    scores: Scores
    state: DecodeState


class StepInfo(NamedTuple):
    """What happened in one step.

    Attributes:
      emitted: tokens kept of the verdict; 0 in rows of steps that did not run, and at a state that
        is done.
      accepted: how many of these were drafts.
      drafted: how many drafts the tree had; 0 at a state that is done.
      record: what was asked to be recorded; rows of zeros if the step did not run.
    """

    emitted: Count
    accepted: Count
    drafted: Count
    record: PyTree


class Decoded(NamedTuple):
    """The text and its history.

    A `status` other than FINE says whose law ended the text; the last step then emitted nothing.

    Attributes:
      tokens: [S], of which the first `length` count.
      length: number of tokens, the prompt included.
      steps: number of steps that ran.
      info: StepInfo stacked over [budget], of which the first `steps` rows ran.
      status: FINE, or whose law is broken.
      drafter: what the drafter learned from the text, as `params.drafter` of the next; ()
        if it does not learn.
    """

    tokens: Int[Array, " S"]
    length: Count
    steps: Count
    info: StepInfo
    status: Count
    drafter: PyTree


def waste(decoded: Decoded) -> Scalar:
    """The share of a batch's target calls that were spent on rows which were done.

    Args:
      decoded: what a vmap of `decode` returned, over B rows.

    Returns:
      From 0 to 1 - 1 / B; 1 if no row took a step.
    """
    return 1 - jnp.mean(decoded.steps) / jnp.maximum(jnp.max(decoded.steps), 1)
