"""Markov chains as language models.

Every law is known exactly, so that whole decodes can be enumerated.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from specjax.models._base import Scores
from specjax.trees import NO_NODE, Topology

Table = Float[Array, "contexts V"]


class _Cache(NamedTuple):
    history: Int[Array, " order"]
    scored: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class Markov:
    """A chain of order k >= 1; the past before the first token counts as token 0.

    `params` is the table [V^k, V] of logits. The context is read as a number in base V.
    """

    vocabulary: int
    order: int = 1

    def init(self, capacity: int, nodes: int) -> _Cache:
        return _Cache(jnp.zeros(self.order, jnp.int32), jnp.zeros(capacity + nodes, jnp.int32))

    def score(
        self,
        params: Table,
        cache: _Cache,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        parents = jnp.asarray(topology.parents)
        depth = jnp.asarray(topology.depth)
        ancestor = jnp.arange(topology.nodes)
        context = jnp.zeros(topology.nodes, jnp.int32)
        for back in range(self.order):
            past = cache.history[jnp.clip(self.order - back + depth, 0, self.order - 1)]
            token = jnp.where(ancestor == NO_NODE, past, tokens[ancestor])
            context += token * self.vocabulary**back
            ancestor = jnp.where(ancestor == NO_NODE, NO_NODE, parents[ancestor])
        scored = jax.lax.dynamic_update_slice(cache.scored, tokens.astype(jnp.int32), (0,))
        return Scores(params[context[nodes][asked]], (), _Cache(cache.history, scored))

    def commit(self, cache: _Cache, path: Int[Array, " D"]) -> _Cache:
        sequence = jnp.concatenate([cache.history, cache.scored[path]])
        kept = jnp.sum(path != NO_NODE)
        history = jax.lax.dynamic_slice(sequence, (kept,), (self.order,))
        return _Cache(history, cache.scored)


def random_tables(
    vocabulary: int,
    order: int,
    entropy: float,
    distance: float,
    seed: int,
) -> tuple[Table, Table]:
    """Logits of a random target chain and of a draft chain.

    The draft mixes the target with a second random chain, so that its distance is exact.

    Args:
      vocabulary: V.
      order: the order k of both chains.
      entropy: mean entropy in nats over the contexts.
      distance: mean total variation between the two chains.
      seed: of the random numbers.

    Returns:
      The tables [V^k, V] of the target and of the draft.

    Raises:
      ValueError: the entropy is not in (0, log V), or the distance is not in [0, d] with d that of
        the second chain.
    """
    if not 0 < entropy < np.log(vocabulary):
        raise ValueError(
            f"entropy: expected between 0 and log V = {np.log(vocabulary):.3f} nats, got {entropy}"
        )
    target, other = np.random.default_rng(seed).normal(size=(2, vocabulary**order, vocabulary))
    p = _sharpen(target, entropy)
    r = _sharpen(other, entropy)
    most = np.abs(p - r).sum(-1).mean() / 2
    if not 0 <= distance <= most:
        raise ValueError(f"distance: expected between 0 and {most:.3f}, got {distance}")
    q = p + (r - p) * distance / most
    return jnp.log(jnp.asarray(p)), jnp.log(jnp.asarray(q))


def _sharpen(logits: np.ndarray, entropy: float) -> np.ndarray:
    """Softmax at the inverse temperature that gives this mean entropy, by bisection."""
    law = logits
    low, high = 0.0, 1e3
    for _ in range(100):
        scale = (low + high) / 2
        law = np.exp(scale * (logits - logits.max(-1, keepdims=True)))
        law /= law.sum(-1, keepdims=True)
        mean = -(law * np.log(np.maximum(law, 1e-300))).sum(-1).mean()
        low, high = (scale, high) if mean > entropy else (low, scale)
    return law
