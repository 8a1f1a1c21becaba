"""Newton's method finds log-weights y at which each node's mass m is its cap, up to a slack.

A node is a token, or a place between which tokens lie; its cap is the mass that it may be given. It
may miss the cap by what pulls its weight back: m = cap - 2 slack sinh(y) (cap + m). The matrix
d m_i / d y_j is nearly the Laplacian of a graph on the nodes: the edge i, j weighs the chance that
two picks from the same drafts are i and j. In each cell of levels that chance is nearly a product.
So the Newton matrix is approximated by a diagonal minus U U^T, where U has a column for each cell,
and a step solves as many equations as cells.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool

from specjax._types import Count, Scalar
from specjax.numerics import dot
from specjax.solvers.levels import race_masses
from specjax.solvers.levels.grid import Kernel, Nodes, PerNode
from specjax.solvers.levels.race_masses import Field, Moments
from specjax.solvers.levels.settings import SETTINGS


class _State(NamedTuple):
    """Newton's method.

    Attributes:
      y: [B], logarithms of the weights.
      slack: how far they may miss their caps.
      start: [B], where y comes from.
      step: [B], what was added to it.
      wrong: mass that was wrong there; infinite where the slack was another.
      steps: so many.
      over: whether the least slack is reached and hardly any mass is wrong, or the steps are spent.
    """

    y: PerNode
    slack: Scalar
    start: PerNode
    step: PerNode
    wrong: Scalar
    steps: Count
    over: Bool[Array, ""]


def weights(
    field: Field,
    nodes: Nodes,
    moments: Moments,
    cap: PerNode,
    y: PerNode,
    slack: Scalar,
    shared: int,
) -> PerNode:
    """The logarithms of the weights by which the nodes are given their caps, but for the least
    slack.

    Args:
      cap: [B], what each node may be given.
      y: [B], where the search starts.
      slack: that it starts with.
      shared: how many nodes, the first, are of several tokens each.
    """
    least = least_slack(y.dtype)
    reach = farthest(y.dtype)
    precise = 1e-6 if y.dtype.itemsize <= 4 else 1e-13
    alone = jnp.arange(len(y)) >= shared

    def newton(state: _State) -> _State:
        y, slack = state.y, state.slack
        here = kernel(y)
        worth = race_masses.worth(field, nodes, moments, here)
        given = jnp.sum(here * worth, 1)
        wrong = jnp.sum(jnp.abs(cap - given - pull(y, slack) * (cap + given)))
        back = wrong > SETTINGS.worse * state.wrong
        falls = ~back & (wrong < SETTINGS.steady)
        less = jnp.where(falls, jnp.maximum(slack / SETTINGS.falls, least), slack)
        missing = cap - given - pull(y, less) * (cap + given)
        exchange = _exchange(here, worth, field.live, alone)
        stiff = _stiffness(y, slack, less) * (cap + given)
        own = dot(exchange, jnp.sum(exchange, 0)) + stiff
        step = _solve(own * (1 + SETTINGS.ridge), exchange, missing)
        step = jnp.where(jnp.isfinite(step), step, 0)
        step = jnp.clip(step, -SETTINGS.farthest, SETTINGS.farthest)
        start = jnp.where(back, state.start, y)
        step = jnp.where(back, state.step / 4, step)
        found = (slack <= least) & (wrong < precise)
        over = found | (state.steps + 1 >= SETTINGS.steps)
        following = jnp.clip(start + step, -reach, reach)
        known = jnp.where(less == slack, wrong, jnp.inf)
        return _State(
            y=jnp.where(over, y, following),
            slack=less,
            start=start,
            step=step,
            wrong=jnp.where(back, state.wrong, known),
            steps=state.steps + 1,
            over=over,
        )

    begun = _State(
        y=y,
        slack=slack,
        start=y,
        step=jnp.zeros_like(y),
        wrong=jnp.full_like(slack, jnp.inf),
        steps=jnp.int32(0),
        over=jnp.asarray(False),
    )
    return jax.lax.while_loop(lambda state: ~state.over, newton, begun).y


def kernel(y: PerNode) -> Kernel:
    """The chance that a clock of rate e^y rings in each cell of time, the latest first."""
    reach = farthest(y.dtype)
    ends = np.exp(np.arange(reach + 2, -reach - 4, -SETTINGS.cell))
    later = jnp.exp(-jnp.exp(y)[:, None] * jnp.asarray(ends, y.dtype))
    return jnp.diff(jnp.pad(later, ((0, 0), (1, 0))), axis=1, append=1)


def pull(y: PerNode, slack: Scalar | float) -> PerNode:
    """How far a node may miss, as a part of its cap and of what it is given."""
    return 2 * slack * jnp.sinh(y)


def least_slack(dtype: jnp.dtype) -> float:
    """The least slack, an ulp.

    With four, hundreds of likely tokens of a flat q are short of p by some 1e-5 together: 10 of
    1,000 contexts of V = 200 and n = 8 stay over 1e-5, and 2 with one.
    """
    return float(jnp.finfo(dtype).eps)


def farthest(dtype: jnp.dtype) -> float:
    """A weight's logarithm at most, where the pull is all of the mass."""
    return float(np.arcsinh(1 / (2 * least_slack(dtype))))


def _exchange(
    kernel: Kernel,
    worth: Kernel,
    live: Count,
    alone: Bool[Array, " B"],
) -> Kernel:
    """A matrix U; (U U^T)_ij is nearly how fast mass goes from node j to node i as the weight of i
    grows.

    Where all are low with the probability P, its second derivative in two nodes is taken as a
    product over P; P is homogeneous of degree n in what nodes are low with, so that a node's n - 1
    shares add up to n - 1 times its first derivative: this sets the factors.

    Args:
      alone: nodes of one token, which takes no mass from itself.
    """
    faint = SETTINGS.faint
    reach = (jnp.cumsum(kernel, 1) - kernel / 2) * worth
    whole = jnp.sum(reach, 0)
    reach = jnp.where(whole > faint, reach / jnp.maximum(whole, faint), 0)
    others = (live - 1).astype(kernel.dtype)
    factor = jnp.broadcast_to(jnp.sqrt(others), kernel.shape)
    for _ in range(SETTINGS.balances):
        share = reach * factor
        rest = jnp.sum(share, 0) - jnp.where(alone[:, None], share, 0)
        factor = jnp.sqrt(factor * others / jnp.maximum(rest, 1e-3))
    over_whole = jax.lax.rsqrt(SETTINGS.cell * jnp.maximum(whole, faint))
    return kernel * worth * factor * jnp.where(whole > faint, over_whole, 0)


def _solve(own: PerNode, exchange: Kernel, missing: PerNode) -> PerNode:
    """The solution of (diag(own) - exchange exchange^T) x = missing, by Woodbury's identity."""
    scale = jax.lax.rsqrt(jnp.maximum(own, SETTINGS.faint))
    rows = scale[:, None] * exchange
    right = scale * missing
    inner = jnp.eye(rows.shape[1], dtype=rows.dtype) - dot(rows.T, rows)
    of_cells = jnp.linalg.solve(inner, dot(rows.T, right))
    return scale * (right + dot(rows, of_cells))


def _stiffness(y: PerNode, slack: Scalar, less: Scalar) -> PerNode:
    """The slope of the pull; where the slack falls, its mean slope up to where the pull would be as
    strong as before.
    """
    apart = jnp.arcsinh(jnp.sinh(y) * slack / less) - y
    far = jnp.abs(apart) > 1e-3
    mean = jnp.sinh(y) * (slack / less - 1) / jnp.where(far, apart, 1)
    return 2 * less * jnp.where(far, mean, jnp.cosh(y))
