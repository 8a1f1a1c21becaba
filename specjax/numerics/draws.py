"""Draws: uniforms, coins, tokens from a distribution, and races of tokens."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, RandomKey, Scalar, Tokens
from specjax.numerics.arithmetic import block_size, divisor, epsilon, tiny

Shape = Float[Array, "*shape"]
Uniforms = Float[Array, "*shape 2"]
Words = Int[Array, " 2"]


def uniforms(key: RandomKey, shape: tuple[int, ...], dtype: DTypeLike) -> Uniforms:
    """Uniforms on [0, 1) in two words each, u[0] + 2^-23 u[1] in float32.

    One word alone is coarser than distributions are.

    Args:
      key: a random key.
      shape: how many uniforms.
      dtype: float32 or float64.

    Returns:
      [*shape, 2], both words in [0, 1).
    """
    return jax.random.uniform(key, (*shape, 2), dtype)


def fine(u: Uniforms) -> Shape:
    """The uniform as one number below 1, exact to 2^-46 near 0 and to an ulp elsewhere.

    Args:
      u: [*shape, 2], the words of uniforms.

    Returns:
      [*shape], in [0, 1).
    """
    eps = epsilon(u)
    return jnp.minimum(u[..., 0] + eps * u[..., 1], 1 - eps / 2)


def coin(u: Uniforms, chance: Shape) -> Bool[Array, "*shape"]:
    """True with this probability, even if it is 1e-12; never if it is 0, always if it is 1.

    Args:
      u: [*shape, 2], the words of uniforms.
      chance: [*shape], probabilities in [0, 1].

    Returns:
      [*shape], true with probability `chance`.

    Example:
      >>> u = uniforms(jax.random.key(0), (3,), jnp.float32)
      >>> print(coin(u, jnp.array([0.0, 1.0, 1.0])))
      [False  True  True]
    """
    return fine(u) < chance


def exponential(key: RandomKey, shape: tuple[int, ...], dtype: DTypeLike) -> Shape:
    """Waiting times of rate 1.

    Times near 0 decide which of V arrivals is first. They are exact to 2^-21 of themselves in
    float32.

    Args:
      key: a random key.
      shape: of the result.
      dtype: float32 or float64.

    Returns:
      [*shape], times >= 0.
    """
    return -jnp.log1p(-fine(uniforms(key, shape, dtype)))


class Place(NamedTuple):
    """A point in a mass: `at` of `of`, each in two integer words, in units of `scale`."""

    at: Words
    of: Words
    scale: Scalar


def draw(law: Law, u: Float[Array, "*words"]) -> Count:
    """The token that a uniform selects from a distribution; never a token of mass zero.

    This is a two-level inverse distribution function. Its running sums are integers, which do not
    round. In float32 TV(draw, law) is below 1e-7 at V = 65536 and 262144, since the sums of rows
    are rounded. A token below 2^-43 of the mass may never come.

    Args:
      law: [V], non-negative. It need not sum to 1: it is read as proportional. If all are zero, the
        token is 0.
      u: [2], the words of a uniform (see `uniforms`).

    Returns:
      The token, in [0, V).

    Raises:
      ValueError: u is not two words.

    Cost: one pass over V.

    Example:
      >>> int(draw(jnp.array([0.5, 0.25, 0.25]), jnp.array([0.6, 0.0])))
      1
    """
    rows = blocks(law)
    masses = jnp.sum(rows, -1)
    row, rest = pick(masses, place(u, jnp.sum(masses)))
    column, _ = pick(rows[row], rest)
    return (row * rows.shape[1] + column).astype(jnp.int32)


def blocks(law: Float[Array, "*laws V"]) -> Float[Array, "*laws rows block"]:
    """The distribution in rows of about sqrt(V) tokens, the last one padded with zeros."""
    size = law.shape[-1]
    block = block_size(size)
    spare = -size % block
    padding = [(0, 0)] * (law.ndim - 1)
    padded = jnp.pad(law, [*padding, (0, spare)])
    return padded.reshape(*law.shape[:-1], -1, block)


def place(u: Float[Array, "*words"], mass: Scalar) -> Place:
    """Where a uniform falls in a mass.

    Args:
      u: [2], the words of a uniform.
      mass: > 0.

    Returns:
      The place, in units of the mass.

    Raises:
      ValueError: u is not two words.
    """
    if u.shape != (2,):
        raise ValueError(
            f"u: expected the two words of a uniform, shape (2,), as numerics.uniforms makes them, "
            f"got shape {u.shape}"
        )
    high, low = _bits(u.dtype)
    kind = _integer(u.dtype)
    units = jnp.asarray([2.0**high, 2.0**low], u.dtype)
    whole = jnp.asarray([2**high, 0], kind)
    return Place((u * units).astype(kind), whole, mass)


def pick(mass: Float[Array, " K"], place: Place) -> tuple[Count, Place]:
    """The entry in which a place lies, and the place inside this entry.

    Entry k is picked in proportion to mass[k], up to 2^-42 of the scale. If the entries do not sum
    to `place.of`, the place is moved in proportion.

    Args:
      mass: [K], non-negative, in units of `place.scale`.
      place: a point in the total mass.

    Returns:
      The index of the entry, and the place in its mass.
    """
    dtype = mass.dtype
    words = _words(mass / jnp.maximum(place.scale, tiny(place.scale)))
    sums = jnp.cumsum(words, 1)
    _, low = _bits(dtype)
    part = _amount(place.at, dtype) / jnp.maximum(_amount(place.of, dtype), 1)
    change = _amount(sums[:, -1] - place.of, dtype) * part
    at = place.at.at[1].add(jnp.round(change).astype(words.dtype))
    difference = sums - at[:, None]
    # the sign of a difference of words, the low one carried
    carried = difference[0] + (difference[1] >> low)
    rest = difference[1] & ((1 << low) - 1)
    above = (carried > 0) | ((carried == 0) & (rest > 0))
    slots = jnp.arange(mass.shape[0])
    last = jnp.max(jnp.where(mass > 0, slots, 0))
    index = jnp.min(jnp.where(above & (mass > 0), slots, last))
    own = words[:, index]
    before = sums[:, index] - own
    return index, Place(at - before, own, place.scale)


def _bits(dtype: jnp.dtype) -> tuple[int, int]:
    """The bits of the high word and of the low word.

    The high word holds the bits of a uniform. 2^12 low words can be summed without overflow.
    """
    return (23, 19) if dtype.itemsize <= 4 else (52, 50)


def _integer(dtype: jnp.dtype) -> str:
    """The integers as wide as these floats."""
    return f"int{8 * dtype.itemsize}"


def _words(mass: Float[Array, " K"]) -> Int[Array, "2 K"]:
    """The high and the low words of masses."""
    high, low = _bits(mass.dtype)
    scaled = mass * 2.0**high
    whole = jnp.floor(scaled)
    rest = jnp.round((scaled - whole) * 2.0**low)
    return jnp.stack([whole, rest]).astype(_integer(mass.dtype))


def _amount(words: Words, dtype: jnp.dtype) -> Scalar:
    """Words as a number, in units of the low one."""
    _, low = _bits(dtype)
    return words[0].astype(dtype) * 2.0**low + words[1].astype(dtype)


def top_tokens(q: Law, n: int) -> Tokens:
    """The n most likely tokens, likeliest first; of equal ones that of lowest index first.

    Args:
      q: [V], a distribution.
      n: <= V, static.

    Returns:
      [n], tokens.

    Cost: a top_k, or n passes over V in float64.

    Example:
      >>> print(top_tokens(jnp.array([0.25, 0.5, 0.25]), 2))
      [1 0]
    """
    if q.dtype.itemsize <= 4:
        return jax.lax.top_k(q, n)[1]
    # a top_k of float64 costs a sort
    return largest(jax.lax.stop_gradient(q), n)


def largest(x: Law, n: int) -> Tokens:
    """The places of the n largest entries, largest first; of equal ones the first.

    Args:
      x: [V], numbers above -inf.
      n: <= V, static.

    Returns:
      [n], places.

    Cost: n passes over V.
    """

    def take(remaining: Array, _: None) -> tuple[Array, Count]:
        place = jnp.argmax(remaining)
        return remaining.at[place].set(-jnp.inf), place

    return jax.lax.scan(take, x, length=n)[1]


def arrivals(waits: Float[Array, "*races V"], law: Law) -> Float[Array, "*races V"]:
    """When each token arrives in a race at rates `law`; infinite if the rate is 0.

    The unit of time is so long that no arrival is too late for a float.

    Args:
      waits: [*races, V], waiting times of rate 1.
      law: [V], rates.

    Returns:
      [*races, V], times.
    """
    return jnp.where(law > 0, waits * 2.0**-60 / divisor(law), jnp.inf)


def first_arrivals(key: RandomKey, q: Law, n: int) -> Tokens:
    """The n tokens that arrive first in a race at rates q: n draws without replacement, in order.

    Every wait and quotient is exact to 2^-21 of itself, and so are the rates. Gumbel noise in
    float32 is less exact: its logarithms are rounded to 2^-20 beyond 8.

    Args:
      key: a random key.
      q: [V], the draft distribution; tokens of rate 0 arrive last.
      n: <= V, static.

    Returns:
      [n], distinct tokens.

    Cost: one pass of noise over V and one top_k. Source: kool2019stochastic.

    Example:
      >>> tokens = first_arrivals(jax.random.key(0), jnp.array([0.5, 0.0, 0.5]), 2)
      >>> print(jnp.sort(tokens))
      [0 2]
    """
    times = arrivals(exponential(key, q.shape, q.dtype), q)
    return jax.lax.top_k(-times, n)[1]
