"""EAGLE's rule for deterministic drafts."""

import jax.numpy as jnp

from specjax.bounds import top_n
from specjax.numerics import top_tokens
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class OneHot(Rule):
    """Recursive rejection for deterministic drafts: each draft law counts as one-hot.

    The rule accepts x_1 with probability p(x_1), else drops it from p. Draft i is reached with
    probability 1 - p(x_1) - .. - p(x_{i-1}). It is then accepted with probability p(x_i) / (1 -
    p(x_1) - .. - p(x_{i-1})). The products telescope to p(x_i), so that the law of the emitted
    token, given the drafts, is p. With S the drafted set, the acceptance is p(S), which is the
    optimum of the scheme.

    Cost: none beyond the draw of the token. Source: li2024eagle.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.OneHot().expected_acceptance(p, q, 2)), 3)
      0.5
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"top_n"}),
        source="li2024eagle",
        optimal_for=-1,
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return p

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return top_n.acceptance(p, q, n)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        tokens = top_tokens(q, min(len(mask), q.shape[0]))
        live = (jnp.arange(len(tokens)) < jnp.sum(mask)) & (q[tokens] > 0)
        return jnp.zeros_like(p).at[tokens].set(jnp.where(live, p[tokens], 0))
