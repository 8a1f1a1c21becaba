"""Where nodes stand if tokens share them, and what each node weighs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Law, Scalar
from specjax.numerics import divide, total
from specjax.solvers.levels import low_race, race_masses
from specjax.solvers.levels.grid import Kernel, Nodes, PerNode, between, even, masses
from specjax.solvers.levels.low_race import Low, terms
from specjax.solvers.levels.newton import farthest
from specjax.solvers.levels.race_masses import Field
from specjax.solvers.levels.settings import SETTINGS

Grid = Float[Array, " G"]
Terms = Float[Array, " T"]
Inside = Bool[Array, " V"]


class Placed(NamedTuple):
    """The nodes, those of the grid and then the heads, and their caps.

    Attributes:
      nodes: the nodes.
      cap: [B], the mass that each node may be allocated.
    """

    nodes: Nodes
    cap: PerNode


def most(field: Field) -> Scalar:
    """The allocation of a unit of the tail at the highest level, to first order."""
    ones = jnp.ones_like(field.race.heads)
    everyone = Low(ones[:, None], _sums(field, 1)[:, None])
    slopes = low_race.slopes(field.race, everyone, field.n, field.live)
    return slopes.tail[0, 0]


def limit(p: Law, field: Field, inside: Inside) -> Scalar:
    """1 + p(H) - Q(H) for one set H: no rule accepts more.

    Q(H) is homogeneous in the chances, so that Euler's theorem gives it by its derivatives.

    Args:
      p: [V], the target distribution.
      field: the race of q.
      inside: [V], H.
    """
    chance = inside.astype(p.dtype)
    low = Low(chance[field.top][:, None], _sums(field, chance)[:, None])
    slope = low_race.slopes(field.race, low, field.n, field.live)
    powers_of_chance = [k for _, k in terms(field.order)]
    degrees = jnp.asarray(powers_of_chance, p.dtype)[:, None]
    of_heads = jnp.sum(low.heads * slope.heads)
    of_tail = jnp.sum(degrees * low.tail * slope.tail)
    return 1 + total(p * chance) - (of_heads + of_tail) / field.live


def _sums(field: Field, chance: Law | int) -> Terms:
    """Sums over the tail of q^l F^k, if every F is 0 or 1."""
    sums = [total(chance * field.tail**power) for power, _ in terms(field.order)]
    return jnp.stack(sums)


def natural(field: Field, kernel: Kernel) -> Law:
    """The tail's masses as they count if all levels have one distribution.

    The allocation is not quite proportional to q.

    Args:
      field: the race of q.
      kernel: [B, C], with equal rows.

    Returns:
      [V], effective masses, 0 for the heads.
    """
    zero = jnp.zeros_like(kernel[:, 0])
    at_first = jnp.zeros(field.tail.shape, jnp.int32)
    nodes = Nodes(zero, zero, at_first, jnp.zeros_like(field.tail))
    moments = race_masses.moments(field, nodes, len(zero))
    allocated = race_masses.masses(field, nodes, moments, kernel)
    of_tail = allocated.at[field.top].set(0)
    return of_tail * divide(total(field.tail), total(of_tail))


def first_grid(p: Law, field: Field, mass: Law, most: Scalar) -> Grid:
    """Ratios that divide evenly the sum of two parts: the tail's p and the tail's mass.

    Args:
      p: [V], the target distribution.
      field: the race of q.
      mass: [V], effective masses.
      most: the largest ratio.

    Returns:
      [G], ratios in [0, most].
    """
    fine = even(most, SETTINGS.fine)
    capped = jnp.minimum(p, most * mass)
    cap = jnp.where(mass > 0, capped, 0)
    left, share = between(fine, divide(cap, mass))
    both = divide(mass, total(mass)) + divide(cap, total(cap))
    sums = jnp.cumsum(masses(both, left, share, SETTINGS.fine))
    parts = jnp.linspace(0, 1, SETTINGS.grid - 2, dtype=p.dtype)
    ratios = jnp.interp(parts * sums[-1], sums, fine)
    zero = jnp.zeros_like(ratios[:1])
    return jnp.concatenate([zero, ratios, most[None]])


def place(
    p: Law,
    field: Field,
    effective: Law,
    at_grid: Grid,
    most: Scalar,
) -> Placed:
    """The nodes and their caps.

    Args:
      p: [V], the target distribution.
      field: the race of q.
      effective: [V], the tail's masses as they count.
      at_grid: [G], the ratios of the grid's nodes.
      most: the largest ratio.
    """
    count = SETTINGS.grid
    ratio = jnp.minimum(divide(p, effective), most)
    left, share = between(at_grid, ratio)
    whole = total(effective)
    mass = whole * masses(divide(effective, whole), left, share, count)
    own = count + jnp.arange(SETTINGS.heads, dtype=jnp.int32)
    rates = field.race.heads
    p_top = p[field.top]
    nodes = Nodes(
        ratio=jnp.append(at_grid, divide(p_top, rates)),
        mass=jnp.append(mass, rates),
        left=left.at[field.top].set(own),
        share=share.at[field.top].set(0),
    )
    return Placed(nodes, jnp.append(at_grid * mass, p_top))


def second_grid(at_grid: Grid, nodes: Nodes, y: PerNode) -> tuple[Grid, PerNode]:
    """A grid that divides evenly the sum of two parts: the rise of the log-weights and the mass.

    Args:
      at_grid: [G], the ratios of the first grid.
      nodes: on the first grid.
      y: [B], logarithms of the nodes' weights.

    Returns:
      [G], the new ratios; and [B], the log-weights there.
    """
    count = SETTINGS.grid
    mass = nodes.mass[:count]
    of_grid = jnp.where(mass > 0, y[:count], -farthest(y.dtype))
    of_grid = jax.lax.cummax(of_grid)
    rise = jnp.diff(of_grid)
    held = mass[:-1]
    measure = divide(rise, jnp.sum(rise)) + divide(held, jnp.sum(held)) + SETTINGS.little
    for _ in range(2):  # neighbours of crowded parts get some nodes too
        ends = jnp.pad(measure, 1, mode="edge")
        measure = (ends[:-2] + 2 * measure + ends[2:]) / 4
    sums = jnp.pad(jnp.cumsum(measure), (1, 0))
    parts = jnp.linspace(0, 1, count, dtype=y.dtype)
    moved = jnp.interp(parts * sums[-1], sums, at_grid)
    there = jnp.interp(moved, at_grid, of_grid)
    return moved, y.at[:count].set(there)
