"""Rules in which every draft draws a level and the highest level wins.

The optimal rules are made of them. A draft at node k draws the level cell c with probability
K[k, c], and a uniform place in the cell. The winner is accepted with a probability that depends on
its cell and its token. Given the drafts, P(slot j wins in cell c) is an integral over the cell: the
density of slot j times the product of the others' distribution functions. This is a polynomial of
degree n - 1, which Gauss's rule integrates exactly.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax import bounds
from specjax._types import Accepting, Certificate, Law, Mask, Scalar, Solves, Tokens
from specjax.numerics import add_at, divide, epsilon, is_duplicate, normalise, rounding_error, total
from specjax.solvers.levels.grid import Kernel, Nodes

PerCell = Float[Array, " C"]
SHARP = 1e-9  # a gap at which a solve in float64 has converged
CLOSE = 1e-5  # the same in float32


class Levels(NamedTuple):
    """A rule of levels at one pair of laws.

    Attributes:
      nodes: where the tokens are.
      kernel: [B, C], the distribution of a node's level cell.
      open_cell: [C], the probability that a winner in this cell is not refused.
      kept: [V], the probability that this token is then accepted.
      allocated: [V], the mass that acceptance gives to each token, at most p.
      error: a bound of the error of all masses together, but for rounding.
    """

    nodes: Nodes
    kernel: Kernel
    open_cell: PerCell
    kept: Law
    allocated: Law
    error: Scalar


def single(p: Law, q: Law) -> Levels:
    """The rule for one draft: one node and one cell, since no other token's level matters.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Cost: one pass over V.
    """
    one = jnp.ones(1, p.dtype)
    at_first = jnp.zeros(p.shape, jnp.int32)
    nodes = Nodes(one, one, at_first, jnp.zeros_like(p))
    return capped(nodes, one[:, None], one, p, q)


def capped(
    nodes: Nodes,
    kernel: Kernel,
    open_cell: PerCell,
    p: Law,
    uncapped: Law,
    error: Scalar | float = 0.0,
) -> Levels:
    """The rule of a kernel, in which a token that would get more than p is refused now and then.

    So the rule is lossless whatever the kernel is, as long as the masses are its own.

    Args:
      nodes: where the tokens are.
      kernel: [B, C], the distribution of a node's level cell.
      open_cell: [C], the probability that a winner in this cell is not refused.
      p: [V], the target distribution.
      uncapped: [V], the masses that the kernel would allocate.
      error: a bound of the error of all these masses together.
    """
    kept = jnp.where(uncapped > p, divide(p, uncapped), 1)
    return Levels(
        nodes=nodes,
        kernel=kernel,
        open_cell=open_cell,
        kept=kept,
        allocated=uncapped * kept,
        error=jnp.asarray(error, p.dtype),
    )


def certificate(levels: Levels, upper: Scalar, n: int) -> Certificate:
    """How near the rule comes to the optimum and to p.

    `tv_bound` is the masses' error and n + 8 ulp: each node's mass, each sum of a kernel's row and
    each of n factors is rounded once or twice.

    Args:
      levels: the rule.
      upper: the upper end of the optimum's bracket.
      n: the number of drafts.
    """
    eps = epsilon(upper)
    alpha = total(levels.allocated)
    gap = upper - alpha
    tolerance = CLOSE if eps > SHARP else SHARP
    return Certificate(
        alpha=alpha,
        alpha_star=upper,
        gap=gap,
        tv_bound=levels.error + (n + 8) * eps,
        converged=gap <= tolerance,
    )


@jax.custom_jvp
def acceptance(levels: Levels, best: Scalar) -> Scalar:
    """The acceptance of the rule, with the gradient of the optimum: a solve has none.

    Args:
      levels: the rule.
      best: the optimum at the same distributions. Only its gradient is used.
    """
    return total(levels.allocated)


@acceptance.defjvp
def _acceptance_slope(
    primals: tuple[Levels, Scalar], tangents: tuple[Levels, Scalar]
) -> tuple[Scalar, Scalar]:
    """The acceptance, and the derivative of the optimum."""
    levels, best = primals
    _, of_best = tangents
    return acceptance(levels, best), of_best


def gauss(n: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    """Places in [0, 1] and weights that integrate polynomials of degree n - 1 exactly."""
    count = (n + 1) // 2
    places, weights = np.polynomial.legendre.leggauss(count)
    places = (places + 1) / 2
    return jnp.asarray(places, dtype), jnp.asarray(weights / 2, dtype)


def law(levels: Levels, tokens: Tokens, p: Law, mask: Mask) -> Law:
    """The distribution of the emitted token given the drafts.

    Args:
      levels: the rule for the live drafts.
      tokens: [n], the drafts, in [0, V).
      p: [V], the target distribution.
      mask: [n], true at live slots.

    Returns:
      [V], a distribution.

    Cost: n^2 C beside two passes over V.
    """
    won = wins(levels, tokens, mask)
    allocated = jnp.where(jnp.any(mask), levels.allocated, 0)
    rest = normalise(jnp.maximum(p - allocated, 0), p, rounding_error(p))
    refused = jnp.maximum(1 - jnp.sum(won), 0)
    return add_at(rest * refused, tokens, won)


def wins(levels: Levels, tokens: Tokens, mask: Mask) -> Float[Array, " n"]:
    """The probability that each slot's draft wins and is accepted.

    Args:
      levels: the rule for the live drafts.
      tokens: [n], the drafts, in [0, V).
      mask: [n], true at live slots.

    Returns:
      [n], probabilities, 0 at slots that are not live.

    Cost: n^2 C.
    """
    slots = len(tokens)
    density = levels.nodes.spread(levels.kernel, tokens)
    paid = density * levels.open_cell * levels.kept[tokens][:, None]
    below = jnp.cumsum(density, 1) - density
    others = ~jnp.eye(slots, dtype=bool) & mask
    won = jnp.zeros(slots, density.dtype)
    places, weights = gauss(slots, density.dtype)
    for place, weight in zip(places, weights, strict=True):
        reached = jnp.minimum(below + place * density, 1)
        factors = jnp.where(others[:, :, None], reached, 1)
        lower = jnp.prod(factors, 1)
        won = won + weight * jnp.sum(paid * lower, 1)
    return jnp.where(mask, won, 0)


class LevelRule(Solves[Levels]):
    """A rule of levels without its solve and its claims, which name one scheme."""

    def law_of(self, solved: Levels, tokens: Tokens, p: Law, mask: Mask) -> Law:
        """The distribution of the emitted token given the drafts; see `law`."""
        return law(solved, tokens, p, mask)

    def accepted(self, solved: Levels) -> Scalar:
        """The acceptance of the solved levels."""
        return total(solved.allocated)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        """The mass that the solved levels allocate to each token.

        A residual that lands on a draft does not count. Short of the optimum there is such a one.
        """
        return self.solve(p, q, len(mask), jnp.sum(mask)).allocated

    def accepting(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Accepting:
        """What wins, and the allocated mass, from one solve."""
        solved = self.solve(p, q, len(mask), jnp.sum(mask))
        won = wins(solved, tokens, mask)
        equal = (tokens[:, None] == tokens) & mask
        first = mask & ~is_duplicate(tokens, mask)
        return Accepting(jnp.where(first, equal @ won, 0), solved.allocated)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """The acceptance of the solved levels, with the gradient of the optimum.

        Args:
          p: [V], the target distribution.
          q: [V], the draft distribution.
          n: the number of drafts; static.

        Cost: that of a solve and of a bracket.
        """
        (scheme,) = self.claims.drafting
        best = bounds.optimal_acceptance(p, q, n, scheme)
        return acceptance(self.solve(p, q, n, jnp.asarray(n)), best)

    def certificate(self, p: Law, q: Law, n: int) -> Certificate:
        """How far the solved levels may be from the optimum.

        Args:
          p: [V], the target distribution.
          q: [V], the draft distribution.
          n: the number of drafts; static.

        Cost: that of a solve and of a bracket.
        """
        (scheme,) = self.claims.drafting
        upper = bounds.bracket(p, q, n, scheme).upper
        return certificate(self.solve(p, q, n, jnp.asarray(n)), upper, n)
