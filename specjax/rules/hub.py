"""SpecHub."""

import jax.numpy as jnp

from specjax.bounds import hub as optimum
from specjax.numerics import acceptance_probability, add_at, normalise, rounding_error, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class Hub(Rule):
    """Tests the draft beside the hub a = argmax q first; the hub gets the target mass that remains.

    Q(i, a) = q_i and Q(a, i) = q_a q_i / (1 - q_a). A token i != a is accepted from (i, a) with
    probability min(1, p_i / q_i), and from (a, i) with min(1, (p_i - q_i)+ / Q(a, i)). The rejected
    mass is offered to a, first that of (a, i) and then that of (i, a). The acceptance is p_a + sum
    over the rest of min(p, q / (1 - q_a)), which is the optimum of the scheme.

    Cost: some six fused passes over V; n is 2. Source: sun2024spechub.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.Hub().expected_acceptance(p, q, 2)), 3)
      0.9
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"hub"}),
        source="sun2024spechub",
        optimal_for=2,
        n_range=(2, 2),
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        hub = jnp.argmax(q)
        others = q.at[hub].set(0)
        second = normalise(others, others) * q[hub]  # Q(a, i)
        left = jnp.maximum(p - others, 0).at[hub].set(0)  # of p, once (i, a) has taken its part
        turned = total(jnp.maximum(second - left, 0))
        turned = jnp.where(total(others) > 0, turned, 1)  # one-hot q drafts (a, a)
        hub_first = tokens[0] == hub
        other = jnp.where(hub_first, tokens[1], tokens[0])
        as_first = acceptance_probability(p[other], q[other])
        as_second = acceptance_probability(left[other], second[other])
        accept = jnp.where(hub_first, as_second, as_first)
        accept = jnp.where(other == hub, 0, accept)
        of_hub = acceptance_probability(p[hub], turned)
        spare = jnp.maximum(p[hub] - turned, 0)
        refused = total(jnp.maximum(others - p, 0).at[hub].set(0))
        of_hub = jnp.where(hub_first, of_hub, acceptance_probability(spare, refused))
        rest = jnp.maximum(left - second, 0).at[hub].set(jnp.maximum(spare - refused, 0))
        rest = normalise(rest, p, rounding_error(p))
        taken = jnp.stack([accept, (1 - accept) * of_hub])
        law = add_at(rest * (1 - accept) * (1 - of_hub), jnp.stack([other, hub]), taken)
        return jnp.where(jnp.all(mask), law, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return optimum.acceptance(p, q, n)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        hub = jnp.argmax(q)
        others = q.at[hub].set(0)
        return jnp.minimum(p, normalise(others, others)).at[hub].set(p[hub])
