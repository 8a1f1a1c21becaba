"""What a verifier is: it sees a whole draft tree, where a rule sees one node."""

from typing import ClassVar, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float

from specjax._registry import register
from specjax._types import RandomKey
from specjax.trees import Draft, Verdict


@runtime_checkable
class Verifier(Protocol):
    """Walks a draft tree and emits target tokens; `law` and `verify` are two faces of one thing, tested equal."""

    name: ClassVar[str]

    def law(self, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
        """[i, y]: probability that the walk ends at node i and emits y next; sums to 1 over both."""
        ...

    def verify(self, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
        """One walk, drawn."""
        ...


__all__ = ["Verifier", "register"]
