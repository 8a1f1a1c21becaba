"""What a verifier is: it sees a whole draft tree, whereas a rule sees one node."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from specjax import numerics
from specjax._registry import register
from specjax._types import Claims, DepthFloats, DepthInts, NodeLaws, RandomKey, Uniforms
from specjax.trees import Draft, Verdict, growth


class Walk(NamedTuple):
    """A verdict, and what was seen on the way, one row for each visited node.

    In rows from `verdict.length` on nothing was proposed.

    Attributes:
      verdict: what the walk emitted.
      proposed: [D + 1], live drafts at the node; 0 if nothing hangs below it.
      law_mass: [D + 1], a node rule's mass on the distinct drafts: the probability of a hit given
        the drafts. It is nan for a verifier that decides at a node by what it saw elsewhere.
      acceptance: [D + 1], the exact acceptance of a node rule that states it with its law, nan
        elsewhere. None if the verifier decides by what it saw elsewhere.
    """

    verdict: Verdict
    proposed: DepthInts
    law_mass: DepthFloats
    acceptance: DepthFloats | None = None


@runtime_checkable
class Verifier(Protocol):
    """Walks a draft tree and emits target tokens.

    `law`, `walk` and `verify` describe one random walk, and tests show that they agree. A verifier
    that lifts a node rule to the tree holds it as `rule`, and promises what the rule promises.
    """

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def claims(self) -> Claims:
        """What the verifier promises, at every tree that its law does not refuse."""
        ...

    @abstractmethod
    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        """The probability that the walk ends at node i and emits y next, at [i, y].

        The entries sum to 1 over both.
        """
        ...

    @abstractmethod
    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk that N + 1 uniforms of two words select; it may leave some uniforms unread.

        Tokens are drawn with `numerics.draw(law, uniforms[i])`, and coins are tossed with
        `numerics.coin(uniforms[i], chance)`.
        """
        ...

    def verify(self, key: RandomKey, draft: Draft, p: NodeLaws) -> Verdict:
        """One walk, drawn with uniforms of the key."""
        words = numerics.uniforms(key, (draft.topology.nodes + 1,), p.dtype)
        return self.walk(words, draft, p).verdict


def check_scheme(name: str, claims: Claims, scheme: str) -> str:
    """The drafting scheme at a node of a tree drawn by `scheme`.

    Args:
      name: the name of the verifier in an error message.
      claims: the verifier's claims.
      scheme: the scheme that draws the tree.

    Returns:
      The name of a drafting scheme.

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
