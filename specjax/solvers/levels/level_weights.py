"""Levels for drafts without replacement that come near the optimum, by weights of tokens.

Token i has a weight e^(y_i) and is picked among the drafts with a probability proportional to it:
its clock rings after an exponential time of that rate. An earlier ring is a higher level, and the
highest level wins. A grid in time cuts the levels into bands, the cells.

Symbols::

    B       nodes: tokens, or ratios between which tokens lie
    C       cells: bands of levels
    y_i     logarithm of the weight of token i
    m_i     the mass that it is allocated: P(i is a draft and is picked)
    Q(H)    P(all drafts lie in H)
    H       the set that minimises 1 + p(H) - Q(H); the minimum is alpha*
    slack   the coefficient in p_i - m_i = 2 slack sinh(y_i) (p_i + m_i)
    kernel  [B, C], P(the level of node b lies in cell c)

Without slack, the weights would minimise the convex function

    E[log sum of the drafts' e^(y_j)] - sum_i p_i y_i,

whose derivative in y_i is m_i - p_i. It has no minimum if alpha* < 1: then H is allocated more than
p and its complement less, and their weights part for ever. So each token may miss p by what pulls
its weight back. As the slack falls, tokens out of H win ever more surely against those in H, and
sets that nearly tie with H part likewise. Acceptance approaches alpha* without a search for H; a
solve may still stop short::

    slack = 0.1
    until the slack is an ulp and hardly any mass is wrong:
        m = what the weights allocate, by the race of the drafts  (race_masses)
        if less than a tenth of the mass is wrong: slack = slack / 6
        step y by Newton's method, or take back part of a step    (newton)
        after 120 steps: stop

Up to V = 512 every token is solved for: it is a node of its own. Beyond, only the 64 likeliest are.
The weight of another token is interpolated between two nodes of a grid, by its ratio of p to its
effective mass (placement). That mass is q at first. A refinement solves the nodes' weights. It then
gives each token the effective mass with which it would have been allocated p. The second
refinement moves the nodes to where weights change most, the third moves tokens only.

The rule refuses any mass above p. So it is lossless, whatever the weights are, up to the certified
error of the computed masses. The shortfall from alpha* is measured.
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
      nodes: where the tokens are.
      kernel: [B, C], the distribution of each node's level cell.
      accepts: the acceptance, as far as the series tells. That is enough to choose by. The rule's
        own masses are evaluated once, at the end.
    """

    nodes: Nodes
    kernel: Kernel
    accepts: Scalar


class _Refined(NamedTuple):
    """The state of the refinements.

    Attributes:
      effective: [V], the effective masses of the tail's tokens.
      at_grid: [G], the ratios of the nodes.
      y: [B], logarithms of the weights.
      best: the best refinement so far.
      turns: the number of refinements so far.
      short: whether the best one is short of what the tokens of negative y allow.
    """

    effective: Law
    at_grid: Float[Array, " G"]
    y: PerNode
    best: _Best
    turns: Count
    short: Bool[Array, ""]


def levels(p: Law, q: Law, n: int, live: Count) -> Levels:
    """The rule after at most 120 kernels for each of three refinements, one up to V = 512.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: the largest number of drafts; static.
      live: in [1, n] and at most the support of q, the number of drafts.

    Returns:
      The rule.

    Cost: C x H x n x nodes in t, C = 39 cells (80 in float64), and a solve of C equations for each
    kernel; 20 passes over V a refinement. Source: specjax2026.
    """
    field = race_masses.field(q, n, live, SETTINGS.heads, SETTINGS.order)
    solve = _alone if len(q) <= SETTINGS.own else _shared
    nodes, found = solve(p, q, field)
    allocated, error = race_masses.allocated(nodes, found, q, n, live)
    # all cells are open: what is too much is capped
    open_cell = jnp.ones(found.shape[1], p.dtype)
    return capped(nodes, found, open_cell, p, allocated, error)


def _alone(p: Law, q: Law, field: Field) -> tuple[Nodes, Kernel]:
    """The nodes and the kernel, if every token is a node of its own."""
    own = jnp.arange(len(q), dtype=jnp.int32)
    nodes = Nodes(ratio=divide(p, q), mass=q, left=own, share=jnp.zeros_like(q))
    moments = race_masses.moments(field, nodes, len(q))
    slack = jnp.asarray(SETTINGS.first, p.dtype)
    y = weights(
        field=field,
        nodes=nodes,
        moments=moments,
        cap=p,
        y=jnp.zeros_like(p),
        slack=slack,
        shared=0,
    )
    return nodes, kernel(y)


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
        y = weights(
            field=field,
            nodes=nodes,
            moments=moments,
            cap=cap,
            y=last.y,
            slack=slack,
            shared=SETTINGS.grid,
        )
        here = kernel(y)
        allocated = race_masses.masses(field, nodes, moments, here)
        accepts = total(jnp.minimum(allocated, p))
        best = _better(last.best, _Best(nodes, here, accepts))
        limit = placement.limit(p, field, nodes.spread(y, tokens) < 0)
        moved_grid, moved_y = placement.second_grid(last.at_grid, nodes, y)
        return _Refined(
            effective=_effective(field, nodes, y, allocated, last.effective),
            at_grid=jnp.where(first, moved_grid, last.at_grid),
            y=jnp.where(first, moved_y, y),
            best=best,
            turns=last.turns + 1,
            short=limit - best.accepts > SETTINGS.short,
        )

    y = jnp.zeros(SETTINGS.grid + SETTINGS.heads, p.dtype)
    natural = placement.natural(field, kernel(y))
    at_first = jnp.zeros(p.shape, jnp.int32)
    nowhere = Nodes(y, y, at_first, jnp.zeros_like(p))
    none = jnp.full((), -1, p.dtype)
    begin = _Refined(
        effective=natural,
        at_grid=placement.first_grid(p, field, natural, most),
        y=y,
        best=_Best(nowhere, kernel(y), none),
        turns=jnp.int32(0),
        short=jnp.asarray(True),
    )
    best = jax.lax.while_loop(_unfinished, refine, begin).best
    return best.nodes, best.kernel


def _unfinished(last: _Refined) -> Bool[Array, ""]:
    """Whether another refinement may pay."""
    return last.short & (last.turns < SETTINGS.refinements)


def _better(old: _Best, new: _Best) -> _Best:
    """The refinement that accepts more."""
    better = new.accepts > old.accepts
    best: _Best = jax.tree.map(lambda one, other: jnp.where(better, one, other), new, old)
    return best


def _effective(
    field: Field,
    nodes: Nodes,
    y: PerNode,
    allocated: Law,
    before: Law,
) -> Law:
    """The mass with which each token of the tail would have been allocated its ratio."""
    missed = pull(y, least_slack(y.dtype))
    reached = nodes.ratio * (1 - missed) / jnp.maximum(1 + missed, SETTINGS.little)
    # the allocation of a unit of mass at each token
    rate = nodes.spread(reached, jnp.arange(len(before)))
    known = (field.tail > 0) & (rate > 0)
    effective = jnp.where(known, divide(allocated, rate), before)
    return jnp.clip(effective, field.tail / 2, 2 * field.tail)
