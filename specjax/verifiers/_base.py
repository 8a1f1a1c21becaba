"""What a verifier is: it sees a whole draft tree, where a rule sees one node."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float, Int

from specjax._registry import register
from specjax._types import Claims, RandomKey
from specjax.trees import Draft, Verdict, growth


class Walk(NamedTuple):
    """A verdict with what was seen on the way, one row per visited node; in rows from
    `verdict.length` on nothing was proposed.

    Attributes:
      proposed: [D + 1], live drafts at the node; 0 where nothing hangs below it.
      law_mass: [D + 1], a node rule's mass on the distinct drafts: the probability of a hit given
        the drafts. nan where the verifier has no node rule: what it does at a node then hangs on
        what it saw elsewhere.
      acceptance: [D + 1], the exact acceptance of a node rule that states it with its law, nan
        elsewhere. None if the walk states none.
    """

    verdict: Verdict
    proposed: Int[Array, " D+1"]
    law_mass: Float[Array, " D+1"]
    acceptance: Float[Array, " D+1"] | None = None


@runtime_checkable
class Verifier(Protocol):
    """Walks a draft tree and emits target tokens; `law`, `walk` and `verify` are faces of one
    thing, tested equal.

    One that lifts a node rule to the tree holds it as `rule` and promises what the rule does.
    """

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def claims(self) -> Claims:
        """What it promises, at every tree that its law does not refuse."""
        ...

    @abstractmethod
    def law(self, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
        """[i, y]: probability that the walk ends at node i and emits y next; sums to 1 over
        both.
        """
        ...

    @abstractmethod
    def walk(self, uniforms: Float[Array, "U 2"], draft: Draft, p: Float[Array, "N V"]) -> Walk:
        """The walk that N + 1 uniforms of two words select, of which it may leave some unread.

        Tokens are drawn with `numerics.draw(law, uniforms[i])`, coins tossed with
        `numerics.coin(uniforms[i], chance)`.
        """
        ...

    @abstractmethod
    def verify(self, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
        """One walk, drawn."""
        ...


def check_scheme(name: str, claims: Claims, scheme: str) -> str:
    """How drafts are drawn at a node of a tree drawn by `scheme`.

    Raises:
      ValueError: the verifier's proof does not cover it.
    """
    at_node = growth.node_scheme(f"verifier {name}", claims, scheme)
    if at_node not in claims.drafting:
        raise ValueError(
            f"verifier {name}: its proof covers the schemes {', '.join(sorted(claims.drafting))}, "
            f"not {scheme}"
        )
    return at_node


__all__ = ["Verifier", "Walk", "check_scheme", "register"]
