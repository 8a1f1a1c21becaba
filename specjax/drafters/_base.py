"""What the decoding loop asks of a drafter."""

from typing import NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Int, PyTree

from specjax._types import Count, RandomKey
from specjax.models import Scores
from specjax.trees import Draft, Topology, Verdict


class Held(NamedTuple):
    """The target as a drafter may read it; what a drafter writes to a copy is thrown away.

    Attributes:
      params: its weights.
      cache: its cache; it holds all committed tokens but the last, and scratch rows for one tree.
    """

    params: PyTree
    cache: PyTree


@runtime_checkable
class Drafter(Protocol):
    """Proposes draft trees: a model, layers of the target and a lookup table are all drafters.

    A drafter is a frozen, hashable object. `topology` has the largest tree that it proposes.
    `features` are the layers after which it reads the target's hidden states, as in
    `Transformer.features`.
    """

    @property
    def topology(self) -> Topology: ...

    @property
    def features(self) -> tuple[int, ...]: ...

    def init(
        self,
        params: PyTree,
        prompt: Int[Array, " P"],
        length: Count,
        rows: int,
        seen: PyTree,
    ) -> PyTree:
        """The state after the first `length` >= 1 tokens of a padded prompt.

        `rows` is room for the whole text and one tree. `seen` has the target's features at the
        prompt, [P, ...] each; the last token of the prompt is not read yet.
        """
        ...

    def propose(
        self, key: RandomKey, params: PyTree, state: PyTree, target: Held
    ) -> tuple[Draft, PyTree]:
        """A tree of drafts below the last committed token, and the next state."""
        ...

    def observe(self, state: PyTree, draft: Draft, scores: Scores, verdict: Verdict) -> PyTree:
        """The state after the verdict on a tree that the target scored.

        `scores` has the target's raw logits [N, V] and features at all nodes, and no cache. A
        verdict of length 0 changes nothing.
        """
        ...

    def learned(self, state: PyTree) -> PyTree:
        """What the drafter learned from the text: params for the next one; () if nothing."""
        ...
