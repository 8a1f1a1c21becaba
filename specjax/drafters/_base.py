"""What the decoding loop asks of a drafter."""

from typing import Protocol, runtime_checkable

from jax import Array
from jaxtyping import Int, PyTree

from specjax._types import Count, RandomKey
from specjax.trees import Draft, Topology, Verdict


@runtime_checkable
class Drafter(Protocol):
    """Proposes draft trees: a model, an early exit and a lookup table are all drafters.

    A drafter is a frozen, hashable object. `topology` has the largest tree that it proposes.
    """

    @property
    def topology(self) -> Topology: ...

    def init(self, params: PyTree, prompt: Int[Array, " P"], length: Count, rows: int) -> PyTree:
        """The state after the first `length` >= 1 tokens of a padded prompt.

        `rows` is room for the whole text and one tree.
        """
        ...

    def propose(self, key: RandomKey, params: PyTree, state: PyTree) -> tuple[Draft, PyTree]:
        """A tree of drafts below the last committed token, and the next state."""
        ...

    def observe(self, state: PyTree, verdict: Verdict, features: PyTree) -> PyTree:
        """The state after a verdict on the tree; a verdict of length 0 changes nothing."""
        ...
