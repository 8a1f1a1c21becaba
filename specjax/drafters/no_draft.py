"""No draft: the target decodes alone, one token a call."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, PyTree

from specjax._types import Count, Index, RandomKey
from specjax.drafters._base import Held
from specjax.models import Scores
from specjax.trees import Draft, Topology, Verdict, chain


@dataclasses.dataclass(frozen=True)
class NoDraft:
    """Proposes the root alone; no draft model runs.

    Attributes:
      vocabulary: V.
      scheme: the drafting scheme that the verifier is told.
    """

    vocabulary: int
    scheme: str
    topology: ClassVar[Topology] = chain(0)
    features: ClassVar[tuple[int, ...]] = ()

    def init(
        self,
        params: PyTree,
        prompt: Int[Array, " P"],
        length: Count,
        rows: int,
        seen: PyTree,
    ) -> Index:
        """The last token."""
        return prompt[length - 1].astype(jnp.int32)

    def propose(
        self, key: RandomKey, params: PyTree, state: Index, target: Held
    ) -> tuple[Draft, Index]:
        nothing = jnp.full((1, self.vocabulary), 1 / self.vocabulary, jnp.float32)
        return Draft(self.topology, state[None], nothing, self.scheme), state

    def observe(self, state: Index, draft: Draft, scores: Scores, verdict: Verdict) -> Index:
        return jnp.where(verdict.length > 0, verdict.tokens[0], state)

    def learned(self, state: Index) -> tuple[()]:
        """Nothing."""
        return ()
