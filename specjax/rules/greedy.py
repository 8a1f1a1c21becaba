"""The optimal rule for greedy drafts, and for SpecHub's pairs."""

import jax.numpy as jnp

from specjax._types import Count
from specjax.bounds import greedy as optimum
from specjax.numerics import acceptance_probability, add_at, normalise, residual, top_tokens
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class Greedy(Rule):
    """Tests the one drawn token against q without the n-1 most likely tokens, which are drafts too.

    These n-1 tokens are called Top. Top is always drafted, so that its mass p(Top) is accepted if
    the residual lands there. The acceptance is p(Top) + sum over the rest of min(p, q/(1 -
    q(Top))), which is the optimum of the scheme. The pairs of SpecHub have the same unordered law
    at n = 2.

    Cost: two passes over V and a top_k. Source: hu2025towards; sun2024spechub.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.Greedy().expected_acceptance(p, q, 2)), 3)
      0.9
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"greedy", "hub"}), source="hu2025towards", optimal_for=-1
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        rest = _outside_top(q, len(tokens), jnp.sum(mask))
        drawn = mask & (rest[tokens] > 0)
        token = tokens[jnp.argmax(drawn)]
        any_drawn = jnp.any(drawn)
        accept = acceptance_probability(p[token], rest[token])
        tried = add_at(residual(p, rest) * (1 - accept), token[None], accept[None])
        return jnp.where(any_drawn, tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return optimum.acceptance(p, q, n)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        rest = _outside_top(q, len(mask), jnp.sum(mask))
        top = (q > 0) & (rest == 0)
        return jnp.where(top, p, jnp.minimum(p, rest))


def _outside_top(q: Law, n: int, live: Count) -> Law:
    """q restricted to the tokens outside Top, as a law; zero if Top holds all of q.

    Ties in Top go to the lowest index.
    """
    top = top_tokens(q, min(n - 1, q.shape[0]))
    outside = q.at[jnp.where(jnp.arange(len(top)) < live - 1, top, q.shape[0])].set(0, mode="drop")
    return normalise(outside, outside)
