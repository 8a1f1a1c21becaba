"""SpecTr's exact optimal transport plan, one per pair of laws."""

from jax import Array
from jaxtyping import Float

from specjax._types import SlotLaws
from specjax.rules._base import Claims, Law, Mask, Rule, Tokens, register


@register
class Transport(Rule):
    """Reads the law of the emitted token off an optimal plan, solved for this (p, q, n, scheme).

    `plan` [V, ..., V, V] holds the law for every tuple of drafts, as `theory.lp.plan` computes it.
    The rule attains the optimum. n is that of the plan, so that no slot may be masked.

    Cost: one row of V; the plan itself needs V^n <= 1e5. Source: sun2023spectr, section 4.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, plan = jnp.array([0.5, 0.5]), jnp.array([[1.0, 0.0], [0.5, 0.5]])
      >>> specjax.rules.Transport(plan).law(jnp.array([1]), p, p, jnp.ones(1, bool)).tolist()
      [0.5, 0.5]
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy", "hub", "top_n", "independent"}),
        source="sun2023spectr",
        optimal_for=-1,
        per_pair=True,
    )
    plan: Float[Array, "..."]

    def law(self, tokens: Tokens, p: Law, q: SlotLaws, mask: Mask) -> Law:
        return self.plan[tuple(tokens)]
