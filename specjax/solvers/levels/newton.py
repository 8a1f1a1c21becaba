"""Newton's method finds log-weights y at which each node's mass m is its cap, up to a slack.

A node is one token, or a grid point; tokens lie between neighbouring grid points. The cap of a node
is the mass that the node may be allocated. A restoring term keeps y finite, so the mass misses the
cap slightly: m = cap - 2 slack sinh(y) (cap + m). The matrix d m_i / d y_j is nearly a graph
Laplacian: edge i, j weighs the chance that two picks from the same drafts give i and j. Levels are
split into cells. Within one cell this chance nearly factorises into a term of i and a term of j. So
the Newton matrix is approximated by a diagonal minus U U^T, where U has one column per cell. One
step solves one equation per cell.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool

from specjax._types import Count, Scalar
from specjax.numerics import dot, epsilon
from specjax.solvers.levels import race_masses
from specjax.solvers.levels.grid import Kernel, Nodes, PerNode
from specjax.solvers.levels.race_masses import Field, Moments
from specjax.solvers.levels.settings import SETTINGS


class _State(NamedTuple):
    """Where the search stands.

    Attributes:
      y: [B], logarithms of the weights.
      slack: how far the weights may miss their caps.
      start: [B], the y before the last step.
      step: [B], the last step.
      wrong: the sum of the errors of mass at `start`; infinite if the slack has changed since.
      steps: the number of steps.
      over: whether the steps are spent, or the slack is least and the mass precise.
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
    """The log-weights at which each node reaches its cap, up to the least slack.

    Args:
      field: the race of q.
      nodes: where the tokens are.
      moments: of the field on these nodes.
      cap: [B], the mass that each node may be allocated.
      y: [B], the log-weights at which the search starts.
      slack: the slack with which the search starts.
      shared: how many nodes, the first ones, stand for several tokens each.

    Returns:
      [B], log-weights.

    Cost: at most 120 evaluations of the race and solves of C equations.
    """
    least = least_slack(y.dtype)
    reach = farthest(y.dtype)
    precise = SETTINGS.precise_float32 if y.dtype.itemsize <= 4 else SETTINGS.precise_float64
    alone = jnp.arange(len(y)) >= shared

    def newton(state: _State) -> _State:
        y, slack = state.y, state.slack
        here = kernel(y)
        worth = race_masses.worth(field, nodes, moments, here)
        allocated = jnp.sum(here * worth, 1)
        remaining = cap - allocated
        both = cap + allocated
        wrong = jnp.sum(jnp.abs(remaining - pull(y, slack) * both))
        back = wrong > SETTINGS.worse * state.wrong
        falls = ~back & (wrong < SETTINGS.steady)
        less = jnp.where(falls, jnp.maximum(slack / SETTINGS.falls, least), slack)
        missing = remaining - pull(y, less) * both
        exchange = _exchange(here, worth, field.live, alone)
        stiff = _stiffness(y, slack, less) * both
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
    """The probability that a clock of rate e^y rings in each cell of time, the latest first.

    Args:
      y: [B], log-weights.

    Returns:
      [B, C], rows that sum to 1.
    """
    reach = farthest(y.dtype)
    logs = np.arange(reach + 2, -reach - 4, -SETTINGS.cell)
    ends = jnp.asarray(np.exp(logs), y.dtype)
    rates = jnp.exp(y)[:, None]
    later = jnp.exp(-rates * ends)
    later = jnp.pad(later, ((0, 0), (1, 0)))
    return jnp.diff(later, axis=1, append=1)


def pull(y: PerNode, slack: Scalar | float) -> PerNode:
    """How far a node may miss its cap, as a part of the cap plus the allocation."""
    return 2 * slack * jnp.sinh(y)


def least_slack(dtype: jnp.dtype) -> float:
    """The least slack, an ulp of 1.

    With four ulp, hundreds of likely tokens of a flat q are short of p by some 1e-5 together: 10 of
    1,000 contexts of V = 200 and n = 8 stay over 1e-5. With one ulp 2 of them do.
    """
    return epsilon(jnp.zeros((), dtype))


def farthest(dtype: jnp.dtype) -> float:
    """The largest logarithm of a weight, at which the pull is all of the mass."""
    return float(np.arcsinh(1 / (2 * least_slack(dtype))))


def _exchange(kernel: Kernel, worth: Kernel, live: Count, alone: Bool[Array, " B"]) -> Kernel:
    """A matrix U that tells how nodes take mass from each other.

    (U U^T)_ij is nearly the mass that goes from node j to node i as the weight of i grows.
    Let P be the probability that all drafts are low. Its second derivative in two nodes is taken as
    a product over P. P is homogeneous of degree n in the nodes' chances to be low. So the n - 1
    shares of a node add up to n - 1 times its first derivative, which sets the factors.

    Args:
      kernel: [B, C], the distribution of each node's level cell.
      worth: [B, C], the allocation of each node in each cell, if all of the node were there.
      live: the number of drafts.
      alone: [B], nodes of one token, which takes no mass from itself.
    """
    faint = SETTINGS.faint
    middle = jnp.cumsum(kernel, 1) - kernel / 2
    reach = middle * worth
    whole = jnp.sum(reach, 0)
    reach = jnp.where(whole > faint, reach / jnp.maximum(whole, faint), 0)
    others = (live - 1).astype(kernel.dtype)
    factor = jnp.broadcast_to(jnp.sqrt(others), kernel.shape)
    for _ in range(SETTINGS.balances):
        share = reach * factor
        own = jnp.where(alone[:, None], share, 0)
        rest = jnp.sum(share, 0) - own
        factor = jnp.sqrt(factor * others / jnp.maximum(rest, 1e-3))
    over_whole = jax.lax.rsqrt(SETTINGS.cell * jnp.maximum(whole, faint))
    over_whole = jnp.where(whole > faint, over_whole, 0)
    return kernel * worth * factor * over_whole


def _solve(own: PerNode, exchange: Kernel, missing: PerNode) -> PerNode:
    """The solution of (diag(own) - exchange exchange^T) x = missing, by Woodbury's identity."""
    scale = jax.lax.rsqrt(jnp.maximum(own, SETTINGS.faint))
    rows = scale[:, None] * exchange
    right = scale * missing
    inner = jnp.eye(rows.shape[1], dtype=rows.dtype) - dot(rows.T, rows)
    of_cells = jnp.linalg.solve(inner, dot(rows.T, right))
    return scale * (right + dot(rows, of_cells))


def _stiffness(y: PerNode, slack: Scalar, less: Scalar) -> PerNode:
    """The slope of the pull.

    If the slack falls, it is the mean slope up to the y at which the pull is as strong as before.
    """
    equal = jnp.arcsinh(jnp.sinh(y) * slack / less)
    apart = equal - y
    far = jnp.abs(apart) > 1e-3
    mean = jnp.sinh(y) * (slack / less - 1) / jnp.where(far, apart, 1)
    return 2 * less * jnp.where(far, mean, jnp.cosh(y))
