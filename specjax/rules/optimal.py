"""The optimal rule for independent drafts, at any vocabulary."""

from specjax.rules._base import Claims, Count, Law, register
from specjax.solvers.levels import exchange
from specjax.solvers.levels.level_rule import LevelRule, Levels


@register
class Optimal(LevelRule):
    """Draws a level for every draft, higher for larger p/q; the highest wins, above a threshold.

    The levels are uniform on [0, 1] and independent, so that a unit of q mass at level m is given n
    m^(n-1). Tokens that would be given more than p swap levels with lower tokens that would be
    given less. Below the level at which alpha* is spent nothing is accepted.

    For V <= 512 the rule attains alpha* to rounding; for larger V it attains alpha* up to the width
    of its nodes of p/q. It is lossless for all nodes. The proof stands in
    solvers/levels/exchange.py.

    Cost: a search of every token among 256 nodes, no sort of V. Source: specjax2026, after
    hu2025towards.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.Optimal().expected_acceptance(p, q, 2)), 3)
      0.86
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"iid"}), source="specjax2026", optimal_for=-1
    )

    def solve(self, p: Law, q: Law, n: int, live: Count) -> Levels:
        """The levels of `live` of n drafts."""
        return exchange.solve(p, q, n, live)
