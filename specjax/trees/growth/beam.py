"""Stochastic beam search (RSD-S)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from specjax._types import RandomKey
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
from specjax.trees.growth._turns import take
from specjax.trees.topology import AnyArray, Topology


class State(NamedTuple):
    """log of Q and of the arrival time of each node of the level [M]; a node that was not drawn
    never arrives.
    """

    log_mass: Float[Array, " M"]
    log_time: Float[Array, " M"]


@register
class Beam(TreeDrafting):
    """Level d holds the `width` first prefixes of sequences drawn without replacement, in the order
    in which they come.

    A race: a sequence arrives at rate Q, a prefix with the first sequence through it. The next
    child of a node comes at t' = t + E / (Q (1 - q(children before))), E ~ Exp(1), the first with
    the node itself, and the level takes the first arrivals. -log t is Kool's conditional maximum of
    Gumbels; in log t no step subtracts, and nothing is drawn that the beam does not take. Cost: one
    pass over a row of V for each node. Source: kool2019stochastic; jeon2024recursive, algorithm 5.
    """

    width: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    @property
    def scheme(self) -> str:
        """How many children a node has depends on which."""
        return SEQUENTIAL

    @property
    def widths(self) -> tuple[int, ...]:
        """As wide at every level."""
        return (1,) + (self.width,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes."""
        return blank(self.widths, self.width)

    def start(self) -> State:
        """The root. Its arrival is no draw: all that comes after is later by as much in every
        race.
        """
        return State(jnp.zeros(1), jnp.full(1, -jnp.inf))

    def expand(
        self,
        key: RandomKey,
        depth: int,
        state: State,
        q: Float[Array, "M V"],
    ) -> tuple[State, Level]:
        """The first arrivals below the level."""
        draws, waits = jax.random.split(jax.random.fold_in(key, depth))
        log_waits = jnp.log(exponential(waits, (self.width,), q.dtype))

        def after(
            turn: Array,
            node: Array,
            urgency: Array,
            log_left: Array,
        ) -> Array:
            return -jnp.logaddexp(-urgency, log_waits[turn] - state.log_mass[node] - log_left)

        turns = take(draws, q, -state.log_time, after, self.width)
        log_mass = state.log_mass[turns.parents] + turns.log_q
        return State(log_mass, -turns.urgency), Level(turns.parents, turns.tokens, turns.active)

    def finish(
        self, state: State, parents: Int[AnyArray, " N"], active: Bool[AnyArray, " N"]
    ) -> Grown:
        """All that was grown."""
        sizes = self.topology
        return Grown(grown(sizes, sizes.depth, parents, active), np.arange(sizes.nodes))
