"""Rules in which every draft draws a level and the highest level wins: what the optimal rule is
made of.

A draft at node k draws the level cell c with probability K[k, c], and a place in the cell evenly.
The winner is accepted with a probability that its cell and its token fix. Given the drafts x,
P(slot j wins in cell c) is the integral over the cell of its density times the product of the
others' distribution functions: a polynomial of degree n - 1, which Gauss's rule integrates exactly.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax import bounds
from specjax._types import Certificate, Law, Mask, Scalar, Solves, Tokens
from specjax.numerics import add_at, divide, normalise, rounding_error, total
from specjax.solvers.levels.grid import Kernel, Nodes


class Levels(NamedTuple):
    """A rule of levels at one pair of laws.

    Attributes:
      nodes: where the tokens are.
      kernel: [B, C], the law of a node's level cell.
      open_cell: [C], probability that a winner in this cell is accepted.
      kept: [V], probability that this token is, once its cell is open.
      given: [V], the mass that acceptance gives to each token, at most p.
      error: of all the masses together at most, but for rounding.
    """

    nodes: Nodes
    kernel: Kernel
    open_cell: Float[Array, " C"]
    kept: Law
    given: Law
    error: Scalar


def single(p: Law, q: Law) -> Levels:
    """The rule for one draft: no other token's level matters, so that one node and one cell do."""
    one = jnp.ones(1, p.dtype)
    none = jnp.zeros(p.shape, jnp.int32)
    return capped(Nodes(one, one, none, jnp.zeros_like(p)), one[:, None], one, p, q)


def capped(
    nodes: Nodes,
    kernel: Kernel,
    open_cell: Float[Array, " C"],
    p: Law,
    given: Law,
    error: Scalar | float = 0.0,
) -> Levels:
    """The rule of a kernel that would give these masses: a token that would get more than p is
    refused now and then.

    So the rule is lossless whatever the kernel is, as long as the masses are its own.
    """
    kept = jnp.where(given > p, divide(p, given), 1)
    return Levels(nodes, kernel, open_cell, kept, given * kept, jnp.asarray(error, p.dtype))


def certificate(levels: Levels, upper: Scalar, n: int) -> Certificate:
    """What the rule reaches beside `upper`, the upper end of the optimum's bracket.

    `tv_bound` is the masses' error and n + 8 ulp: each node's mass, each sum of a kernel's row and
    each of n factors is rounded once or twice.
    """
    eps = float(jnp.finfo(upper.dtype).eps)
    alpha = total(levels.given)
    gap = upper - alpha
    return Certificate(
        alpha, upper, gap, levels.error + (n + 8) * eps, gap <= (1e-5 if eps > 1e-9 else 1e-9)
    )


@jax.custom_jvp
def acceptance(levels: Levels, best: Scalar) -> Scalar:
    """What the rule accepts, with the gradient of the optimum `best`, which is sought for that
    alone: a solve has none.
    """
    return total(levels.given)


@acceptance.defjvp
def _acceptance_slope(
    primals: tuple[Levels, Scalar], tangents: tuple[Levels, Scalar]
) -> tuple[Scalar, Scalar]:
    return acceptance(*primals), tangents[1]


def gauss(n: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    """Places in [0, 1] and weights that integrate polynomials of degree n - 1 exactly."""
    places, weights = np.polynomial.legendre.leggauss((n + 1) // 2)
    return jnp.asarray((places + 1) / 2, dtype), jnp.asarray(weights / 2, dtype)


def law(
    levels: Levels,
    tokens: Tokens,
    p: Law,
    mask: Mask,
) -> Law:
    """The law of the emitted token given the drafts. Cost: n^2 C beside two passes over V."""
    won = wins(levels, tokens, mask)
    rest = normalise(
        jnp.maximum(p - jnp.where(jnp.any(mask), levels.given, 0), 0), p, rounding_error(p)
    )
    return add_at(rest * jnp.maximum(1 - jnp.sum(won), 0), tokens, won)


def wins(levels: Levels, tokens: Tokens, mask: Mask) -> Float[Array, " n"]:
    """The probability that each slot's draft wins and is accepted."""
    slots = len(tokens)
    density = levels.nodes.spread(levels.kernel, tokens)
    paid = density * levels.open_cell * levels.kept[tokens][:, None]
    below = jnp.cumsum(density, 1) - density
    others = ~jnp.eye(slots, dtype=bool) & mask
    won = jnp.zeros(slots, density.dtype)
    for place, weight in zip(*gauss(slots, density.dtype), strict=True):
        reached = jnp.minimum(below + place * density, 1)
        lower = jnp.prod(jnp.where(others[:, :, None], reached, 1), 1)
        won = won + weight * jnp.sum(paid * lower, 1)
    return jnp.where(mask, won, 0)


class LevelRule(Solves[Levels]):
    """A rule of levels: all but how it solves for them, and its claims, which name one scheme."""

    def law_of(
        self,
        solved: Levels,
        tokens: Tokens,
        p: Law,
        mask: Mask,
    ) -> Law:
        """The law of the emitted token given the drafts."""
        return law(solved, tokens, p, mask)

    def accepted(self, solved: Levels) -> Scalar:
        """The acceptance of the solved levels."""
        return total(solved.given)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """What the solved levels accept, with the gradient of the optimum."""
        (scheme,) = self.claims.drafting
        best = bounds.optimal_acceptance(p, q, n, scheme)
        return acceptance(self.solve(p, q, n, jnp.asarray(n)), best)

    def certificate(self, p: Law, q: Law, n: int) -> Certificate:
        """How far the solved levels may be from the optimum."""
        (scheme,) = self.claims.drafting
        upper = bounds.bracket(p, q, n, scheme).upper
        return certificate(self.solve(p, q, n, jnp.asarray(n)), upper, n)
