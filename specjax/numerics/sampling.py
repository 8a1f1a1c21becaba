"""How logits become a distribution: steps in a stated order."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax.numerics.arithmetic import Batch, tiny

ORDER = ("temperature", "top_k", "top_p", "min_p")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How logits become a distribution: four steps, each at its place in an order.

    Each step sees the distribution that the steps before it left. The default order is that of
    transformers. One object serves target and draft, so that both are transformed alike. It is
    static under jit.

    Attributes:
      temperature: >= 0; at 0 the distribution is one-hot at the first maximum (greedy decoding),
        whatever the order.
      top_k: keep the k most likely tokens (all ties at the edge are kept); 0 keeps all.
      top_p: keep the smallest set of most likely tokens with mass >= top_p (ties likewise); 1 keeps
        all.
      min_p: keep the tokens with at least min_p times the largest probability; 0 keeps all.
      order: the four steps, each once, the first one first.

    Raises:
      ValueError: a setting is out of its range, or the order is none.

    Example:
      >>> print(Sampling(top_k=1).law(jnp.array([0.0, 1.0])))
      [0. 1.]
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    order: tuple[str, ...] = ORDER

    def __post_init__(self) -> None:
        """Checks the ranges."""
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
        if sorted(self.order) != sorted(ORDER):
            raise ValueError(
                f"order: expected {', '.join(ORDER)}, each once, got {', '.join(self.order)}"
            )

    def law(self, logits: Batch) -> Batch:
        """The distribution of logits, in float32 or wider.

        If temperature or logits are extreme, it is the limit distribution: logits of +inf share all
        mass. A logit of -inf has the probability 0, exactly.

        Args:
          logits: [..., V], of any float dtype.

        Returns:
          [..., V], distributions. A row is NaN if its logits have a NaN, or no finite number.

        Cost: a step that does nothing costs nothing; top_p sorts V.
        """
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        finite = jnp.isfinite(logits).any(-1, keepdims=True)
        valid = finite & ~jnp.isnan(logits).any(-1, keepdims=True)
        if self.temperature == 0:
            return jnp.where(valid, _first_largest(logits), jnp.nan).astype(logits.dtype)
        # the logits stay as they are but for those that a step drops: no rounding makes a tie
        divisor = 1.0
        for step in self.order:
            if step == "temperature":
                divisor = self._divisor(logits)
            else:
                logits = self._cut(step, logits, divisor)
        return jnp.where(valid, _softmax(logits, divisor), jnp.nan)

    def _cut(self, step: str, logits: Batch, divisor: float) -> Batch:
        """The logits, and -inf in place of those that a step drops."""
        if step == "top_k" and 0 < self.top_k < logits.shape[-1]:
            largest, _ = jax.lax.top_k(logits, self.top_k)
            return _kept(logits, logits >= largest[..., -1:])
        if step == "top_p" and self.top_p < 1:
            law = _softmax(logits, divisor)
            return _kept(logits, law >= _nucleus_edge(law, self.top_p))
        if step == "min_p" and self.min_p > 0:
            return _kept(logits, _below(logits) / divisor >= math.log(self.min_p))
        return logits

    def _divisor(self, logits: Array) -> float:
        """The temperature, moved to where it and its reciprocal are normal numbers.

        Beyond these the distribution is the limit anyway.
        """
        least = tiny(logits)
        return min(max(self.temperature, least), 1 / least)


AS_IS = Sampling()


def _first_largest(logits: Batch) -> Bool[Array, "... V"]:
    """Where the first of the largest logits is.

    Two plain reductions: on a CPU they are four times as fast as an argmax.
    """
    size = logits.shape[-1]
    places = jnp.arange(size)
    largest = logits == jnp.max(logits, -1, keepdims=True)
    first = jnp.min(jnp.where(largest, places, size), -1, keepdims=True)
    return places == first


def _below(logits: Batch) -> Batch:
    """The logits less their largest one.

    At a low temperature they then fall to -inf, and none rises to +inf.
    """
    best = jax.lax.stop_gradient(jnp.max(logits, -1, keepdims=True))
    return jnp.where(jnp.isinf(best) & (logits == best), 0, logits - best)


def _softmax(logits: Batch, divisor: float) -> Batch:
    return jax.nn.softmax(_below(logits) / divisor, -1)


def _kept(logits: Batch, kept: Bool[Array, "... V"]) -> Batch:
    return jnp.where(kept, logits, -jnp.inf)


def _nucleus_edge(law: Batch, top_p: float) -> Float[Array, "... 1"]:
    """The smallest probability inside the nucleus; it is positive.

    A token is inside if the likelier ones hold less than top_p; the last such token is the edge.
    """
    descending = -jnp.sort(-law, -1)
    before = jnp.cumsum(descending, -1) - descending
    inside = (before < top_p) & (descending > 0)
    last = jnp.sum(inside, -1, keepdims=True) - 1
    return jnp.take_along_axis(descending, jnp.maximum(last, 0), -1)
