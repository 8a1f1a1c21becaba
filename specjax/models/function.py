"""Any function from tokens to logits as a model, where only acceptance is measured."""

import dataclasses
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

from specjax.models._base import Scores
from specjax.trees import Topology


@dataclasses.dataclass(frozen=True)
class Function:
    """A model without a cache: `specjax logits` reads it, a decode refuses it.

    Attributes:
      logits: from the ids [T] of a text to [T, V], what follows each token; whatever NumPy
        reads as an array.
      vocabulary: V.

    Example:
      >>> import numpy as np
      >>> from specjax.models import Function
      >>> model = Function(lambda ids: np.eye(3)[ids], 3)
      >>> model.of_text([2, 0]).tolist()
      [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    logits: Callable[[Int[np.ndarray, " T"]], ArrayLike]
    vocabulary: int

    def of_text(self, tokens: list[int]) -> Float[np.ndarray, "T V"]:
        """The logits after each token of a text.

        Raises:
          ValueError: they have another shape.
        """
        found = np.asarray(self.logits(np.array(tokens, np.int32)), np.float32)
        if found.shape != (len(tokens), self.vocabulary):
            raise ValueError(
                f"logits: expected the shape {(len(tokens), self.vocabulary)}, got {found.shape}"
            )
        return found

    def init(self, capacity: int, nodes: int) -> NoReturn:
        """Refuse.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            "a model that is a function has no cache to decode with; "
            "`specjax logits` and `specjax bound` measure its acceptance"
        )

    def score(
        self,
        params: PyTree,
        cache: PyTree,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        """Refuse, as `init`."""
        self.init(0, 0)

    def commit(self, cache: PyTree, path: Int[Array, " D"]) -> PyTree:
        """Refuse, as `init`."""
        self.init(0, 0)
