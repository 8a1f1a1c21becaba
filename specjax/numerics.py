"""Arithmetic that laws are made of: sums, residuals, draws and logit transforms, safe in float32 at any V."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Law, RandomKey, Scalar


def tiny(x: Array) -> float:
    """The smallest normal number of x's dtype: a divisor guard that XLA does not flush to zero."""
    return float(jnp.finfo(x.dtype).tiny)


def total(x: Float[Array, "... V"]) -> Float[Array, "..."]:
    """Sum over the last axis in two levels: the rounding error grows with sqrt(V), not with V. One pass.

    The inner level is a product with ones: XLA does not vectorise a batched sum on a CPU, and takes four times as long for it.
    """
    size = x.shape[-1]
    block = _block(size)
    rows = x.reshape(*x.shape[:-1], size // block, block) if size % block == 0 else x[..., None, :]
    return jnp.sum(jnp.dot(rows, jnp.ones(rows.shape[-1], x.dtype), precision=jax.lax.Precision.HIGHEST), -1)


def _block(size: int) -> int:
    """About sqrt(size), a power of two."""
    return 1 << max(0, math.ceil(math.log2(max(size, 1)) / 2))


def divide(x: Array, y: Array) -> Array:
    """x / y, and 0 where y = 0."""
    return jnp.where(y > 0, x / _divisor(y), 0)


def _divisor(y: Array) -> Array:
    """y where it is positive, lifted to a normal number; else 1: the branch not taken has a finite derivative, and so has `where`."""
    return jnp.where(y > 0, jnp.maximum(y, tiny(y)), 1)


def normalise(weights: Law, fallback: Law, floor: float = 0.0) -> Law:
    """The law proportional to non-negative `weights`; where their mass is at most `floor`, `fallback`: the zero-mass case, decided here.

    The barrier makes the sum that of the very weights it divides: XLA may otherwise compute them twice and round them twice.
    """
    weights = jax.lax.optimization_barrier(weights)
    mass = total(weights)
    return jnp.where(mass > floor, weights / _divisor(mass), fallback)


def rounding(law: Law) -> float:
    """4 ulp of 1: what is left of a difference of laws below this mass is rounding, not law."""
    return 4 * float(jnp.finfo(law.dtype).eps)


def residual(p: Law, q: Law) -> Law:
    """The law proportional to (p - q)+; p itself where nothing is left (p = q)."""
    return normalise(jnp.maximum(p - q, 0), p, rounding(p))


def acceptance_probability(p: Array, q: Array) -> Array:
    """min(1, p / q) elementwise; where q = 0, one if p > 0 and zero otherwise (padding gathers such tokens)."""
    return jnp.where(q > 0, jnp.minimum(1, p / _divisor(q)), jnp.where(p > 0, 1, 0).astype(p.dtype))


def repeated(tokens: Int[Array, " n"], mask: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """Which slots hold a token that an earlier live slot holds."""
    slots = jnp.arange(tokens.shape[0])
    return jnp.any((tokens[:, None] == tokens) & mask & (slots < slots[:, None]), 1)


def deposit(base: Law, tokens: Int[Array, " n"], mass: Float[Array, " n"]) -> Law:
    """`base` with mass[i] added at tokens[i]; equal tokens add up."""
    return base.at[tokens].add(mass, mode="drop")


def draw(law: Law, u: Scalar) -> Int[Array, ""]:
    """The token that the uniform u in [0, 1) selects from a law by a two-level inverse CDF; never a token of mass zero.

    `law` need not sum to 1: it is read as proportional. A law of all zeros gives token 0. Cost: one pass over V.
    """
    rows = blocks(law)
    masses = jnp.sum(rows, -1)
    row, rest = pick(masses, u * jnp.sum(masses))
    column, _ = pick(rows[row], rest)
    return (row * rows.shape[1] + column).astype(jnp.int32)


def blocks(law: Float[Array, "*laws V"]) -> Float[Array, "*laws rows block"]:
    """The law in rows of about sqrt(V) tokens, the last one padded with zeros."""
    size = law.shape[-1]
    block = _block(size)
    return jnp.pad(law, [(0, 0)] * (law.ndim - 1) + [(0, -size % block)]).reshape(*law.shape[:-1], -1, block)


def pick(mass: Float[Array, " K"], target: Scalar) -> tuple[Int[Array, ""], Scalar]:
    """First index of positive mass whose running sum exceeds target (else the last positive one), and what is left of target."""
    sums, slots = jnp.cumsum(mass), jnp.arange(mass.shape[0])
    last = jnp.max(jnp.where(mass > 0, slots, 0))
    index = jnp.min(jnp.where((sums > target) & (mass > 0), slots, last))
    return index, jnp.maximum(target - (sums[index] - mass[index]), 0)


def likeliest(q: Law, n: int) -> Int[Array, " n"]:
    """The n <= V most likely tokens, likeliest first, of equals that of lowest index. Cost: a top_k, or n passes in float64."""
    if q.dtype.itemsize <= 4:
        return jax.lax.top_k(q, n)[1]

    return largest(jax.lax.stop_gradient(q), n)  # a top_k of float64 costs a sort


def largest(x: Float[Array, " V"], n: int) -> Int[Array, " n"]:
    """The places of the n <= V largest entries, largest first, of equals the first ones. Cost: n passes."""

    def take(left: Array, _: None) -> tuple[Array, Int[Array, ""]]:
        place = jnp.argmax(left)
        return left.at[place].set(-jnp.inf), place

    return jax.lax.scan(take, x, length=n)[1]


def gumbel_top_n(key: RandomKey, logits: Float[Array, " V"], n: int) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """The n largest of logits + Gumbel noise, in order: n draws without replacement, and their perturbed values.

    Tokens of logit -inf come last, with value -inf. The noise reaches below 1e-7 (`mode="high"`), so that no token that
    the verifier credits goes undrawn. Cost: one pass of noise over V and one top_k. Source: kool2019stochastic.
    """
    noise = jax.random.gumbel(key, logits.shape, logits.dtype, mode="high")
    values, tokens = jax.lax.top_k(logits + noise, n)
    return tokens, values


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How logits become a law; one object for target and draft, so that both are transformed alike. Static under jit.

    Attributes:
      temperature: >= 0; at 0 the law is one-hot at the first maximum (greedy decoding).
      top_k: keep the k most likely tokens (ties at the edge are all kept); 0 keeps all.
      top_p: keep the smallest set of most likely tokens with mass >= top_p (ties likewise); 1 keeps all.
      min_p: keep the tokens with at least min_p times the largest probability; 0 keeps all.

    Raises:
      ValueError: a setting is out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.temperature < math.inf and self.top_k >= 0 and 0 < self.top_p <= 1 and 0 <= self.min_p <= 1):
            raise ValueError(f"expected temperature >= 0, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1, got {self}")

    def law(self, logits: Float[Array, "... V"]) -> Float[Array, "... V"]:
        """The law of logits of any float dtype, in float32 or wider. Cost: top_p sorts V."""
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        if self.temperature == 0:
            return jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1], dtype=logits.dtype)
        logits = logits / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            edge = jax.lax.top_k(logits, self.top_k)[0][..., -1:]
            logits = jnp.where(logits >= edge, logits, -jnp.inf)
        law = jax.nn.softmax(logits, -1)
        if self.min_p > 0:
            law = _keep(law, law >= self.min_p * jnp.max(law, -1, keepdims=True))
        if self.top_p < 1:
            law = _keep(law, law >= _nucleus_edge(law, self.top_p))
        return law


AS_IS = Sampling()


def _keep(law: Array, kept: Array) -> Array:
    law = jnp.where(kept, law, 0)
    return law / total(law)[..., None]


def _nucleus_edge(law: Float[Array, "... V"], top_p: float) -> Float[Array, "... 1"]:
    """The smallest probability inside the nucleus: the first whose predecessors hold less than top_p is the last one kept."""
    descending = -jnp.sort(-law, -1)
    before = jnp.cumsum(descending, -1) - descending
    last = jnp.sum(before < top_p, -1, keepdims=True) - 1
    return jnp.take_along_axis(descending, jnp.maximum(last, 0), -1)
