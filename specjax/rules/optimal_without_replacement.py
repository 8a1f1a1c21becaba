"""A rule of levels for drafts without replacement that seeks the optimum, at any vocabulary."""

import jax
import jax.numpy as jnp

from specjax.rules._base import Claims, Count, Law, register
from specjax.solvers.levels import level_rule, level_weights
from specjax.solvers.levels.level_rule import LevelRule, Levels


@register
class OptimalWithoutReplacement(LevelRule):
    """Picks a draft with probability proportional to its weight; Newton's method fits the weights.

    For V > 512 there are three refinements of at most 120 kernels each. For smaller V there is one.
    The rule is lossless for all weights. The certificate says how far the search came. The rule
    claims no optimum, since nothing proves that the search ends there. `specjax bench` shows where
    the search does end there on real contexts.

    Cost: an evaluation of the race, C x H x n x nodes, and C = 39 linear equations for each kernel.
    Source: specjax2026, solvers/levels/level_weights.py.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.OptimalWithoutReplacement().expected_acceptance(p, q, 1)), 3)
      0.7
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"without_replacement"}),
        source="specjax2026",
        searches=True,
    )

    def solve(self, p: Law, q: Law, n: int, live: Count) -> Levels:
        """The levels of `live` of n drafts."""
        p, q = jax.lax.stop_gradient((p, q))
        if n == 1:
            return level_rule.single(p, q)
        return level_weights.levels(p, q, n, jnp.clip(live, 1, jnp.sum(q > 0)))
