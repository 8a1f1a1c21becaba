"""Stochastic beam search (RSD-S)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax._types import LevelLaws, RandomKey
from specjax.numerics import exponential
from specjax.trees.growth._base import (
    SEQUENTIAL,
    Grown,
    Level,
    TreeDrafting,
    blank,
    grown,
    register,
)
from specjax.trees.growth._draws import draw_by_priority
from specjax.trees.topology import NodeFlags, NodeInts, Topology


class State(NamedTuple):
    """log of Q and log of the arrival time of each node of the level.

    Attributes:
      log_mass: [M], log of Q.
      log_time: [M], log of the arrival time; a node that was not drawn never arrives.
    """

    log_mass: Float[Array, " M"]
    log_time: Float[Array, " M"]


@register
class Beam(TreeDrafting):
    """Keeps, at level d, the first `width` prefixes of sequences drawn without replacement.

    The draws are a race: a sequence arrives at rate Q, and a prefix arrives with the first sequence
    through it. The next child of a node arrives at t' = t + E / (Q (1 - q(children before))), E ~
    Exp(1). The first child arrives with the node itself, and the level takes the first arrivals in
    their order.

    -log t is Kool's conditional maximum of Gumbels. In log t no step subtracts, and every token
    that is drawn is taken by the beam.

    Cost: one pass over a row of V for each node. Source: kool2019stochastic; jeon2024recursive,
    algorithm 5.

    Example:
      >>> from specjax.trees import growth
      >>> tree = growth.Beam(width=3, depth=2)
      >>> tree.widths, tree.topology.nodes, tree.scheme == growth.SEQUENTIAL
      ((1, 3, 3), 7, True)
    """

    width: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    @property
    def scheme(self) -> str:
        """The number of children of a node depends on the children, so the scheme is SEQUENTIAL."""
        return SEQUENTIAL

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of nodes at each level: 1, then `width`."""
        return (1,) + (self.width,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes of the tree."""
        return blank(self.widths, self.width)

    def start(self) -> State:
        """The root, with arrival time 0.

        Its arrival is not drawn: in every race all later arrivals shift by the same time.
        """
        return State(jnp.zeros(1), jnp.full(1, -jnp.inf))

    def expand(self, key: RandomKey, depth: int, state: State, q: LevelLaws) -> tuple[State, Level]:
        """The first arrivals below the level."""
        of_draws, of_waits = jax.random.split(jax.random.fold_in(key, depth))
        log_waits = jnp.log(exponential(of_waits, (self.width,), q.dtype))

        def next_arrival(draw: Array, node: Array, priority: Array, log_left: Array) -> Array:
            log_wait = log_waits[draw] - state.log_mass[node] - log_left
            return -jnp.logaddexp(-priority, log_wait)

        drawn = draw_by_priority(of_draws, q, -state.log_time, next_arrival, self.width)
        log_mass = state.log_mass[drawn.parents] + drawn.log_q
        level = Level(drawn.parents, drawn.tokens, drawn.active)
        return State(log_mass, -drawn.priority), level

    def finish(self, state: State, parents: NodeInts, active: NodeFlags) -> Grown:
        """The tree of all nodes that were grown."""
        sizes = self.topology
        return Grown(grown(sizes, sizes.depth, parents, active), np.arange(sizes.nodes))
