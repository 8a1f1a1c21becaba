"""Medusa's choice of a path: the longest prefix of typical tokens, then the likeliest token."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Claims, Index, NodeLaws, PerNode, Scalar, Uniforms
from specjax.rules.typical import threshold
from specjax.trees import ROOT, Draft
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._leaf_first import postorder, walk_to


@register
class TypicalPath(Verifier):
    """Keeps the path whose prefix of typical drafts is longest, then emits the likeliest token.

    A draft is typical iff p(x) > min(cap, scale e^-H(p)) after the drafts before it, as in the rule
    `typical`. Of prefixes of one length the most likely is kept, of equal ones the first. Nothing
    is drawn at random: given the drafts, every emitted token y costs TV 1 - p(y) and KL
    -log p(y).

    On one path it is the rule `typical` from the root down, but for the token after the last draft.
    There too it emits the likeliest, as Medusa does unless told to sample.

    Attributes:
      cap: the probability above which every token is typical; 0.3 as published.
      scale: of e^-H; 0.09 as published.

    Cost: one pass over p [N, V], and a step for each depth. Source: cai2024medusa, typical
    acceptance.

    Raises:
      ValueError: the scheme is neither `iid` nor `top_n`.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import trees, verifiers
      >>> p = jnp.array([[0.5, 0.3, 0.2]] * 3)
      >>> draft = trees.Draft(trees.star(2), jnp.array([0, 2, 1]), p, "top_n")
      >>> verifiers.TypicalPath().law(draft, p).tolist()
      [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """

    name: ClassVar[str]
    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid", "top_n"}),
        source="cai2024medusa",
        bonus="own",
    )
    cap: Scalar | float = 0.3
    scale: Scalar | float = 0.09

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        end = self._end(draft, p)
        return jnp.zeros_like(p).at[end, _first_largest(p[end])].set(1)

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The only walk; it reads no uniform."""
        end = self._end(draft, p)
        return walk_to(draft, end, _first_largest(p[end]), p.dtype)

    def _end(self, draft: Draft, p: NodeLaws) -> Index:
        """The node at which the kept prefix ends."""
        check_scheme(self.name, self.claims, draft.scheme)
        topology = draft.topology
        nodes = jnp.arange(topology.nodes)
        parents = jnp.where(nodes == ROOT, ROOT, jnp.asarray(topology.parents))
        depth = jnp.asarray(topology.depth)
        least = jax.lax.map(lambda law: threshold(law, self.cap, self.scale), p)
        chance = p[parents, draft.tokens]
        drawn = postorder(topology) < topology.nodes
        typical = (nodes == ROOT) | (drawn & (chance > least[parents]))
        kept = ~jnp.any(topology.ancestors() & ~typical, 1)
        longest = kept & (depth == jnp.max(jnp.where(kept, depth, 0)))
        return _likeliest(longest, _chances(chance, parents, depth, topology.height))


class _Number(NamedTuple):
    """Numbers that do not underflow: mantissa 2^exponent, the mantissa from 1/2 to 1 or 0."""

    mantissa: PerNode
    exponent: Int[Array, " N"]


def _chances(
    step: PerNode,
    parents: Int[Array, " N"],
    depth: Int[Array, " N"],
    height: int,
) -> _Number:
    """The target's probability of the path to each node, multiplied from the root down."""

    def descend(here: Index, above: _Number) -> _Number:
        mantissa, shift = jnp.frexp(above.mantissa[parents] * step)
        below = _Number(mantissa, above.exponent[parents] + shift)
        found: _Number = jax.tree.map(
            lambda new, old: jnp.where(depth == here, new, old), below, above
        )
        return found

    one = _Number(jnp.ones_like(step), jnp.zeros(step.shape, jnp.int32))
    chances: _Number = jax.lax.fori_loop(1, height + 1, descend, one)
    return chances


def _likeliest(among: Bool[Array, " N"], chance: _Number) -> Index:
    """The first of the largest; one at least is among them."""
    exponent = chance.exponent
    largest = jnp.max(jnp.where(among, exponent, jnp.min(exponent)))
    among = among & (exponent == largest)
    return _first_largest(jnp.where(among, chance.mantissa, -1))


def _first_largest(values: Float[Array, " X"]) -> Index:
    return jnp.argmax(values).astype(jnp.int32)  # int64 in x64
