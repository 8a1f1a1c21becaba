"""Where nodes stand when tokens share them, and what each node weighs."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Law, Scalar
from specjax.numerics import divide, total
from specjax.solvers.levels import low_race, race_masses
from specjax.solvers.levels.grid import Kernel, Nodes, PerNode, between, even, masses
from specjax.solvers.levels.low_race import Low
from specjax.solvers.levels.newton import farthest
from specjax.solvers.levels.race_masses import Field
from specjax.solvers.levels.settings import SETTINGS

Grid = Float[Array, " G"]


def most(field: Field) -> Scalar:
    """What a unit of the tail is given at the highest level, to first order."""
    everyone = Low(jnp.ones_like(field.race.heads)[:, None], _sums(field, 1)[:, None])
    return low_race.slopes(field.race, everyone, field.n, field.live).tail[0, 0]


def limit(p: Law, field: Field, inside: Bool[Array, " V"]) -> Scalar:
    """1 + p(H) - Q(H) for one set H: no rule accepts more."""
    chance = inside.astype(p.dtype)
    low = Low(chance[field.top][:, None], _sums(field, chance)[:, None])
    slope = low_race.slopes(field.race, low, field.n, field.live)
    # Euler's theorem sums P, which is homogeneous in the chances
    degrees = jnp.asarray([k for _, k in low_race.terms(field.order)], p.dtype)[:, None]
    of_heads = jnp.sum(low.heads * slope.heads)
    of_tail = jnp.sum(degrees * low.tail * slope.tail)
    return 1 + total(p * chance) - (of_heads + of_tail) / field.live


def _sums(field: Field, chance: Law | float) -> Float[Array, " T"]:
    powers = [power for power, _ in low_race.terms(field.order)]
    return jnp.stack([total(chance * field.tail**power) for power in powers])


def natural(field: Field, kernel: Kernel) -> Law:
    """The tail's masses as they count where all levels have one law: what is given is not quite
    proportional to q.
    """
    zero = jnp.zeros_like(kernel[:, 0])
    at_first = jnp.zeros(field.tail.shape, jnp.int32)
    nodes = Nodes(zero, zero, at_first, jnp.zeros_like(field.tail))
    moments = race_masses.moments(field, nodes, len(zero))
    given = race_masses.masses(field, nodes, moments, kernel).at[field.top].set(0)
    return given * divide(total(field.tail), total(given))


def first_grid(
    p: Law,
    field: Field,
    mass: Law,
    most: Scalar,
) -> Grid:
    """Ratios that part the tail's mass, that of p and that which tokens weigh, evenly."""
    fine = even(most, SETTINGS.fine)
    cap = jnp.where(mass > 0, jnp.minimum(p, most * mass), 0)
    left, share = between(fine, divide(cap, mass))
    both = divide(mass, total(mass)) + divide(cap, total(cap))
    sums = jnp.cumsum(masses(both, left, share, SETTINGS.fine))
    parts = jnp.linspace(0, 1, SETTINGS.grid - 2, dtype=p.dtype)
    ratios = jnp.interp(parts * sums[-1], sums, fine)
    return jnp.concatenate([jnp.zeros_like(ratios[:1]), ratios, most[None]])


def place(
    p: Law,
    field: Field,
    effective: Law,
    at_grid: Grid,
    most: Scalar,
) -> tuple[Nodes, PerNode]:
    """The nodes, the grid's and then the heads, and what each may be given."""
    count, heads = SETTINGS.grid, SETTINGS.heads
    left, share = between(at_grid, jnp.minimum(divide(p, effective), most))
    whole = total(effective)
    mass = whole * masses(divide(effective, whole), left, share, count)
    own = count + jnp.arange(heads, dtype=jnp.int32)
    rates = field.race.heads
    p_top = p[field.top]
    nodes = Nodes(
        ratio=jnp.append(at_grid, divide(p_top, rates)),
        mass=jnp.append(mass, rates),
        left=left.at[field.top].set(own),
        share=share.at[field.top].set(0),
    )
    return nodes, jnp.append(at_grid * mass, p_top)


def second_grid(at_grid: Grid, nodes: Nodes, y: PerNode) -> tuple[Grid, PerNode]:
    """A grid that parts the weights' logarithms evenly as well as the mass, half of it each, and
    the weights there.
    """
    count = SETTINGS.grid
    mass = nodes.mass[:count]
    of_grid = jnp.where(mass > 0, y[:count], -farthest(y.dtype))
    of_grid = jax.lax.cummax(of_grid)
    rise = jnp.diff(of_grid)
    held = mass[:-1]
    measure = divide(rise, jnp.sum(rise)) + divide(held, jnp.sum(held)) + SETTINGS.little
    for _ in range(2):  # neighbours of where they crowd get some too
        ends = jnp.pad(measure, 1, mode="edge")
        measure = (ends[:-2] + 2 * measure + ends[2:]) / 4
    sums = jnp.pad(jnp.cumsum(measure), (1, 0))
    parts = jnp.linspace(0, 1, count, dtype=y.dtype)
    anew = jnp.interp(parts * sums[-1], sums, at_grid)
    return anew, y.at[:count].set(jnp.interp(anew, at_grid, of_grid))
