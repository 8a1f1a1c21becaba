"""A verifier run for another target law."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from specjax import targets
from specjax._types import Claims, NodeLaws, Uniforms
from specjax.trees import Draft
from specjax.verifiers._base import Verifier, Walk, register
from specjax.verifiers._nodes import node_view


@register
class Retarget(Verifier):
    """Runs a verifier with another law e for p, at every node that has drafts.

    A lossless verifier then emits e there, and p where nothing was drafted: a bonus token costs
    nothing, so it comes from p.

    Attributes:
      verifier: any verifier.
      target: the law e: `targets.Band`, `targets.Interpolate`, ..

    Example:
      >>> from specjax import targets, verifiers
      >>> verifiers.Retarget(verifiers.Block(), targets.Band(0.5)).claims.lossless
      False
    """

    verifier: Verifier
    target: targets.Target
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The claims of the verifier, without those that need p."""
        return self.verifier.claims._replace(lossless=False, optimal_for=0)

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        """The law of the verifier for e."""
        return self.verifier.law(draft, self._laws(draft, p))

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk of the verifier for e."""
        return self.verifier.walk(uniforms, draft, self._laws(draft, p))

    def _laws(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        nodes = jnp.arange(draft.topology.nodes)
        masks = jax.vmap(node_view, (None, 0))(draft, nodes).mask
        live = jnp.sum(masks, 1)
        slots = masks.shape[1]
        laws = jax.vmap(lambda p, q, m: self.target(p, q, slots, jnp.maximum(m, 1)))(
            p, draft.q, live
        )
        return jnp.where((live > 0)[:, None], laws, p)
