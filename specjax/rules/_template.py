"""One line: the idea. Copy this file to specjax/rules/<name>.py, or anywhere else.

`specjax audit path/to/<name>.py` audits the copy.
"""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, add_at, residual, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class Template(Rule):
    """One true sentence: what the rule accepts, and what it draws otherwise.

    The mathematics. What is proven.

    Cost: passes over V, as a function of n. Source: key in references.bib, algorithm number.
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"iid"}), source="leviathan2023fast", optimal_for=1
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts, [V].

        Masked slots must not matter, and every input must give a law.
        """
        first = tokens[jnp.argmax(mask)]
        accept = acceptance_probability(p[first], q[first])
        tried = add_at(residual(p, q) * (1 - accept), first[None], accept[None])
        return jnp.where(jnp.any(mask), tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """Optional: the exact probability that the emitted token is one of the n drafts."""
        return total(jnp.minimum(p, q) + jnp.maximum(p - q, 0) * (1 - (1 - q) ** (n - 1)))
