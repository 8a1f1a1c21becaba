"""Arithmetic that laws are made of: sums, residuals, draws and logit transforms, safe in float32 at
any V.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from specjax._types import Law, RandomKey, Scalar


def tiny(x: Array) -> float:
    """The smallest normal number of x's dtype: a divisor guard that XLA does not flush to zero."""
    return float(jnp.finfo(x.dtype).tiny)


def dot(x: Array, y: Array) -> Array:
    """The product x @ y in the operands' own precision: by default a GPU or TPU rounds float32
    operands to 10 or 7 bits.
    """
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def total(x: Float[Array, "... V"]) -> Float[Array, "..."]:
    """Sum over the last axis in two levels: the rounding error grows with sqrt(V), not with V. One
    pass.

    The inner level is a product with ones: XLA does not vectorise a batched sum on a CPU, and takes
    four times as long for it.
    """
    size = x.shape[-1]
    block = _block(size)
    rows = x.reshape(*x.shape[:-1], size // block, block) if size % block == 0 else x[..., None, :]
    return jnp.sum(dot(rows, jnp.ones(rows.shape[-1], x.dtype)), -1)


def _block(size: int) -> int:
    """About sqrt(size), a power of two."""
    return 1 << max(0, math.ceil(math.log2(max(size, 1)) / 2))


def divide(x: Array, y: Array) -> Array:
    """x / y, and 0 where y = 0."""
    return jnp.where(y > 0, x / _divisor(y), 0)


def _divisor(y: Array) -> Array:
    """y where it is positive, lifted to a normal number; else 1: the branch not taken has a finite
    derivative, and so has `where`.
    """
    return jnp.where(y > 0, jnp.maximum(y, tiny(y)), 1)


def normalise(weights: Law, fallback: Law, floor: float = 0.0) -> Law:
    """The law proportional to non-negative `weights`; where their mass is at most `floor`,
    `fallback`: the zero-mass case, decided here.

    The barrier makes the sum that of the very weights it divides: XLA may otherwise compute them
    twice and round them twice.
    """
    weights = jax.lax.optimization_barrier(weights)
    mass = total(weights)
    return jnp.where(mass > floor, weights / _divisor(mass), fallback)


def rounding_error(law: Law) -> float:
    """4 ulp of 1: what is left of a difference of laws below this mass is rounding, not law."""
    return 4 * float(jnp.finfo(law.dtype).eps)


def residual(p: Law, q: Law) -> Law:
    """The law proportional to (p - q)+; p itself where nothing is left (p = q)."""
    return normalise(jnp.maximum(p - q, 0), p, rounding_error(p))


def acceptance_probability(p: Array, q: Array) -> Array:
    """min(1, p / q) elementwise; where q = 0, one if p > 0 and zero otherwise (padding gathers such
    tokens).
    """
    return jnp.where(q > 0, jnp.minimum(1, p / _divisor(q)), jnp.where(p > 0, 1, 0).astype(p.dtype))


def is_duplicate(tokens: Int[Array, " n"], mask: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """Which slots hold a token that an earlier live slot holds."""
    slots = jnp.arange(tokens.shape[0])
    return jnp.any((tokens[:, None] == tokens) & mask & (slots < slots[:, None]), 1)


def add_at(base: Law, tokens: Int[Array, " n"], mass: Float[Array, " n"]) -> Law:
    """`base` with mass[i] added at tokens[i]; equal tokens add up."""
    return base.at[tokens].add(mass, mode="drop")


def uniforms(key: RandomKey, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape 2"]:
    """Uniforms on [0, 1) in two words each, u[0] + 2^-23 u[1] in float32: one word alone is coarser
    than laws are.
    """
    return jax.random.uniform(key, (*shape, 2), dtype)


def fine(u: Float[Array, "*shape 2"]) -> Float[Array, "*shape"]:
    """The uniform as one number, exact to 2^-46 near 0 and to an ulp elsewhere; below 1."""
    eps = float(jnp.finfo(u.dtype).eps)
    return jnp.minimum(u[..., 0] + eps * u[..., 1], 1 - eps / 2)


def coin(u: Float[Array, "*shape 2"], chance: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """True with this probability, also where it is 1e-12; never where it is 0, always where it is
    1.
    """
    return fine(u) < chance


def exponential(key: RandomKey, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """Waiting times of rate 1; those near 0, which tell the first of V arrivals, are exact to 2^-21
    of themselves in float32.
    """
    return -jnp.log1p(-fine(uniforms(key, shape, dtype)))


class Place(NamedTuple):
    """A point in a mass: `at` of `of`, each in two integer words, in units of `scale`."""

    at: Int[Array, " 2"]
    of: Int[Array, " 2"]
    scale: Scalar


def draw(law: Law, u: Float[Array, "*words"]) -> Int[Array, ""]:
    """The token that a uniform of two words (see `uniforms`) selects from a law; never a token of
    mass zero.

    A two-level inverse distribution function, with running sums in integers, which do not round. In
    float32 TV(draw, law) is below 1e-7 at V = 65536 and 262144: what the sums of rows round. A
    token below 2^-43 of the mass may never come. `law` need not sum to 1: it is read as
    proportional. A law of all zeros gives token 0. Cost: one pass over V.

    Raises:
      ValueError: u is not two words.
    """
    rows = blocks(law)
    masses = jnp.sum(rows, -1)
    row, rest = pick(masses, place(u, jnp.sum(masses)))
    column, _ = pick(rows[row], rest)
    return (row * rows.shape[1] + column).astype(jnp.int32)


def blocks(law: Float[Array, "*laws V"]) -> Float[Array, "*laws rows block"]:
    """The law in rows of about sqrt(V) tokens, the last one padded with zeros."""
    size = law.shape[-1]
    block = _block(size)
    return jnp.pad(law, [(0, 0)] * (law.ndim - 1) + [(0, -size % block)]).reshape(
        *law.shape[:-1], -1, block
    )


def place(u: Float[Array, "*words"], mass: Scalar) -> Place:
    """Where a uniform of two words falls in a mass.

    Raises:
      ValueError: u is not two words.
    """
    if u.shape != (2,):
        raise ValueError(
            f"u: expected the two words of a uniform, shape (2,), as numerics.uniforms makes them, "
            f"got shape {u.shape}"
        )
    high, low = _bits(u.dtype)
    kind = f"int{8 * u.dtype.itemsize}"
    return Place(
        (u * jnp.asarray([2.0**high, 2.0**low], u.dtype)).astype(kind),
        jnp.asarray([2**high, 0], kind),
        mass,
    )


def pick(mass: Float[Array, " K"], place: Place) -> tuple[Int[Array, ""], Place]:
    """The entry in which a place lies, and where it lies there: entry k is picked in proportion to
    mass[k], up to 2^-42 of the scale.

    Where the entries do not sum to `place.of`, the place is moved in proportion.
    """
    words = _words(mass / jnp.maximum(place.scale, tiny(place.scale)))
    sums = jnp.cumsum(words, 1)
    _, low = _bits(mass.dtype)
    change = _amount(sums[:, -1] - place.of, mass.dtype) * (
        _amount(place.at, mass.dtype) / jnp.maximum(_amount(place.of, mass.dtype), 1)
    )
    at = place.at.at[1].add(jnp.round(change).astype(words.dtype))
    difference = sums - at[:, None]
    # the sign of a difference of words, the low one carried
    beyond = difference[0] + (difference[1] >> low)
    slots = jnp.arange(mass.shape[0])
    last = jnp.max(jnp.where(mass > 0, slots, 0))
    above = (beyond > 0) | ((beyond == 0) & (difference[1] & ((1 << low) - 1) > 0))
    index = jnp.min(jnp.where(above & (mass > 0), slots, last))
    return index, Place(at - (sums[:, index] - words[:, index]), words[:, index], place.scale)


def _bits(dtype: jnp.dtype) -> tuple[int, int]:
    """Of the high word, those of a uniform, and of the low one, so that 2^12 low words can be
    summed.
    """
    return (23, 19) if dtype.itemsize <= 4 else (52, 50)


def _words(mass: Float[Array, " K"]) -> Int[Array, "2 K"]:
    high, low = _bits(mass.dtype)
    scaled = mass * 2.0**high
    whole = jnp.floor(scaled)
    return jnp.stack([whole, jnp.round((scaled - whole) * 2.0**low)]).astype(
        f"int{8 * mass.dtype.itemsize}"
    )


def _amount(words: Int[Array, " 2"], dtype: jnp.dtype) -> Scalar:
    """Words as a number, in units of the low one."""
    return words[0].astype(dtype) * 2.0 ** _bits(dtype)[1] + words[1].astype(dtype)


def top_tokens(q: Law, n: int) -> Int[Array, " n"]:
    """The n <= V most likely tokens, likeliest first, of equals that of lowest index. Cost: a
    top_k, or n passes in float64.
    """
    if q.dtype.itemsize <= 4:
        return jax.lax.top_k(q, n)[1]

    return largest(jax.lax.stop_gradient(q), n)  # a top_k of float64 costs a sort


def largest(x: Float[Array, " V"], n: int) -> Int[Array, " n"]:
    """The places of the n <= V largest entries, largest first, of equals the first ones. Cost: n
    passes.
    """

    def take(left: Array, _: None) -> tuple[Array, Int[Array, ""]]:
        place = jnp.argmax(left)
        return left.at[place].set(-jnp.inf), place

    return jax.lax.scan(take, x, length=n)[1]


def arrivals(waits: Float[Array, "*races V"], law: Law) -> Float[Array, "*races V"]:
    """When each token comes in a race at rates `law`, in a unit so long that none is too late for a
    float; infinite where the rate is 0.
    """
    return jnp.where(law > 0, waits * 2.0**-60 / _divisor(law), jnp.inf)


def first_arrivals(key: RandomKey, q: Law, n: int) -> Int[Array, " n"]:
    """The n <= V tokens that come first in a race at rates q, in order: n draws without
    replacement; of rate 0 last.

    Every wait and quotient is exact to 2^-21 of itself, and so are the rates. Gumbel noise in
    float32 is less exact: its logarithms are rounded to 2^-20 beyond 8. Cost: one pass of noise
    over V and one top_k. Source: kool2019stochastic.
    """
    return jax.lax.top_k(-arrivals(exponential(key, q.shape, q.dtype), q), n)[1]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How logits become a law; one object for target and draft, so that both are transformed alike.
    Static under jit.

    Attributes:
      temperature: >= 0; at 0 the law is one-hot at the first maximum (greedy decoding).
      top_k: keep the k most likely tokens (ties at the edge are all kept); 0 keeps all.
      top_p: keep the smallest set of most likely tokens with mass >= top_p (ties likewise); 1 keeps
        all.
      min_p: keep the tokens with at least min_p times the largest probability; 0 keeps all.

    Raises:
      ValueError: a setting is out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not (
            0 <= self.temperature < math.inf
            and self.top_k >= 0
            and 0 < self.top_p <= 1
            and 0 <= self.min_p <= 1
        ):
            raise ValueError(
                f"expected temperature >= 0, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1, got "
                f"{self}"
            )

    def law(self, logits: Float[Array, "... V"]) -> Float[Array, "... V"]:
        """The law of logits of any float dtype, in float32 or wider; NaN in all of a row that has a
        NaN, or no finite logit.

        Where temperature or logits are extreme it is the law of the limit: logits of +inf share all
        mass. Cost: top_p sorts V.
        """
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        whole = jnp.isfinite(logits).any(-1, keepdims=True) & ~jnp.isnan(logits).any(
            -1, keepdims=True
        )
        if self.temperature == 0:
            return jnp.where(
                whole,
                jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1], dtype=logits.dtype),
                jnp.nan,
            )
        if 0 < self.top_k < logits.shape[-1]:
            edge = jax.lax.top_k(logits, self.top_k)[0][..., -1:]
            logits = jnp.where(logits >= edge, logits, -jnp.inf)
        law = jax.nn.softmax(_below(logits) / self._divisor(logits), -1)
        if self.min_p > 0:
            law = _keep(law, law >= self.min_p * jnp.max(law, -1, keepdims=True))
        if self.top_p < 1:
            law = _keep(law, law >= _nucleus_edge(law, self.top_p))
        return jnp.where(whole, law, jnp.nan)

    def _divisor(self, logits: Array) -> float:
        """The temperature, kept where it and its reciprocal are normal numbers: beyond, the law is
        that of the limit anyway.
        """
        return min(max(self.temperature, tiny(logits)), 1 / tiny(logits))


AS_IS = Sampling()


def _below(logits: Float[Array, "... V"]) -> Float[Array, "... V"]:
    """The logits less their largest one: at a low temperature they then fall to -inf, and none
    rises to +inf.
    """
    best = jax.lax.stop_gradient(jnp.max(logits, -1, keepdims=True))
    return jnp.where(jnp.isinf(best) & (logits == best), 0, logits - best)


def _keep(law: Array, kept: Array) -> Array:
    law = jnp.where(kept, law, 0)
    return law / total(law)[..., None]


def _nucleus_edge(law: Float[Array, "... V"], top_p: float) -> Float[Array, "... 1"]:
    """The smallest probability inside the nucleus: the first whose predecessors hold less than
    top_p is the last one kept.
    """
    descending = -jnp.sort(-law, -1)
    before = jnp.cumsum(descending, -1) - descending
    last = jnp.sum(before < top_p, -1, keepdims=True) - 1
    return jnp.take_along_axis(descending, jnp.maximum(last, 0), -1)
