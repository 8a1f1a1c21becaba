"""Levels for drafts without replacement that come near the optimum, by weights of tokens.

Token i has a weight e^(y_i) and is picked among the drafts with a probability proportional to it:
its clock rings after an exponential time of that rate. An earlier ring is a higher level, and the
highest level wins.

Symbols::

    y_i     logarithm of the weight of token i
    m_i     the mass that it is given: P(i is a draft and is picked)
    Q(H)    P(all drafts lie in H)
    H       the set that minimises 1 + p(H) - Q(H); the minimum is alpha*
    slack   the coefficient in p_i - m_i = 2 slack sinh(y_i) (p_i + m_i)
    kernel  P(token i's level lies in cell c), for each i and c

Without slack, the weights would minimise the convex function

    E[log sum of the drafts' e^(y_j)] - sum_i p_i y_i,

whose derivative in y_i is m_i - p_i. It has no minimum where alpha* < 1: there H is given more than
p and its complement less, and their weights part for ever. So each token may miss p by what pulls
its weight back. As the slack falls, tokens out of H win ever more surely against those in H, and
sets that nearly tie with H part likewise. Acceptance approaches alpha* without a search for H; a
solve may still stop short::

    slack = 0.1
    until the slack is an ulp and hardly any mass is wrong:
        m = what the weights give, by the race of the drafts      (race_masses)
        if less than a tenth of the mass is wrong: slack = slack / 6
        step y by Newton's method, or take back part of a step    (newton)
        after 120 steps: stop

Up to V = 512 every token is solved for: it is a node of its own. Beyond, only the 64 likeliest are.
The weight of another token is interpolated between two nodes of a grid, by its ratio of p to its
effective mass (placement). That mass is q at first. A refinement solves the nodes' weights. It then
gives each token the effective mass with which it would have been given p. The second refinement
moves the nodes to where weights change most, the third moves tokens only.

The rule refuses any mass above p. So it is lossless, whatever the weights are, up to the certified
error of the computed masses. What is short of alpha* is measured.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, total
from specjax.solvers.levels import placement, race_masses
from specjax.solvers.levels.grid import Kernel, Nodes, PerNode
from specjax.solvers.levels.level_rule import Levels, capped
from specjax.solvers.levels.newton import kernel, least_slack, pull, weights
from specjax.solvers.levels.race_masses import Field
from specjax.solvers.levels.settings import SETTINGS


class _Best(NamedTuple):
    """The best refinement so far.

    Attributes:
      accepts: as far as the series tells: enough to choose by. What the rule states is evaluated
        once, at the end.
    """

    nodes: Nodes
    kernel: Kernel
    accepts: Scalar


class _Refined(NamedTuple):
    """What refinements have led to.

    Attributes:
      effective: [V], what the tail's tokens weigh.
      at_grid: [G], the ratios of the nodes.
      y: [B], logarithms of the weights.
      best: of all.
      turns: refinements so far.
      short: whether the best is short of what the tokens of negative y allow.
    """

    effective: Law
    at_grid: Float[Array, " G"]
    y: PerNode
    best: _Best
    turns: Count
    short: Bool[Array, ""]


def levels(
    p: Law,
    q: Law,
    n: int,
    live: Count,
) -> Levels:
    """The rule after at most 120 kernels for each of three refinements, one up to V = 512.

    Cost: C x H x n x nodes in t, C = 39 cells (80 in float64), and a solve of C equations for each
    kernel; 20 passes over V a refinement.
    """
    field = race_masses.field(q, n, live, SETTINGS.heads, SETTINGS.order)
    nodes, found = (_alone if len(q) <= SETTINGS.own else _shared)(p, q, field)
    # all cells open: what is too much is capped
    given, error = race_masses.given(nodes, found, q, n, live)
    return capped(nodes, found, jnp.ones(found.shape[1], p.dtype), p, given, error)


def _alone(p: Law, q: Law, field: Field) -> tuple[Nodes, Kernel]:
    """Every token a node of its own."""
    own = jnp.arange(len(q), dtype=jnp.int32)
    nodes = Nodes(ratio=divide(p, q), mass=q, left=own, share=jnp.zeros_like(q))
    moments = race_masses.moments(field, nodes, len(q))
    slack = jnp.asarray(SETTINGS.first, p.dtype)
    return nodes, kernel(weights(field, nodes, moments, p, jnp.zeros_like(p), slack, 0))


def _shared(p: Law, q: Law, field: Field) -> tuple[Nodes, Kernel]:
    """The best nodes and kernel of all refinements."""
    least = least_slack(p.dtype)
    most = placement.most(field)
    tokens = jnp.arange(len(p))

    def refine(last: _Refined) -> _Refined:
        first = last.turns == 0
        nodes, cap = placement.place(p, field, last.effective, last.at_grid, most)
        moments = race_masses.moments(field, nodes, len(cap))
        slack = jnp.where(first, SETTINGS.first, least).astype(p.dtype)
        y = weights(field, nodes, moments, cap, last.y, slack, SETTINGS.grid)
        here = kernel(y)
        given = race_masses.masses(field, nodes, moments, here)
        best = _better(last.best, _Best(nodes, here, total(jnp.minimum(given, p))))
        limit = placement.limit(p, field, nodes.spread(y, tokens) < 0)
        anew = placement.second_grid(last.at_grid, nodes, y)
        at_grid, y_next = jax.tree.map(
            lambda new, old: jnp.where(first, new, old), anew, (last.at_grid, y)
        )
        return _Refined(
            effective=_effective(field, nodes, y, given, last.effective),
            at_grid=at_grid,
            y=y_next,
            best=best,
            turns=last.turns + 1,
            short=limit - best.accepts > SETTINGS.short,
        )

    y = jnp.zeros(SETTINGS.grid + SETTINGS.heads, p.dtype)
    natural = placement.natural(field, kernel(y))
    nowhere = Nodes(y, y, jnp.zeros(p.shape, jnp.int32), jnp.zeros_like(p))
    begin = _Refined(
        effective=natural,
        at_grid=placement.first_grid(p, field, natural, most),
        y=y,
        best=_Best(nowhere, kernel(y), jnp.full((), -1, p.dtype)),
        turns=jnp.int32(0),
        short=jnp.asarray(True),
    )
    best = jax.lax.while_loop(
        lambda last: last.short & (last.turns < SETTINGS.refinements), refine, begin
    ).best
    return best.nodes, best.kernel


def _better(old: _Best, new: _Best) -> _Best:
    better = new.accepts > old.accepts
    return jax.tree.map(lambda one, other: jnp.where(better, one, other), new, old)


def _effective(
    field: Field,
    nodes: Nodes,
    y: PerNode,
    given: Law,
    before: Law,
) -> Law:
    """What each token of the tail would have had to weigh to be given its ratio."""
    missed = pull(y, least_slack(y.dtype))
    reached = nodes.ratio * (1 - missed) / jnp.maximum(1 + missed, SETTINGS.little)
    rate = nodes.spread(reached, jnp.arange(len(before)))  # at which a token there is to be given
    known = (field.tail > 0) & (rate > 0)
    effective = jnp.where(known, divide(given, rate), before)
    return jnp.clip(effective, field.tail / 2, 2 * field.tail)
