"""A decode whose models cost next to nothing: what a step does outside the forwards."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from experiments.cli import seeds
from experiments.timing.clock import Call, bind
from specjax import decode
from specjax._types import Count
from specjax.decode import Params
from specjax.models import Pair, Scores
from specjax.models.pairs.markov import Letters
from specjax.numerics import Sampling
from specjax.trees import NO_NODE, Topology, TreeDrafting
from specjax.verifiers import Verifier

LAWS = 16


@dataclasses.dataclass(frozen=True)
class FewLaws:
    """A model with a table of logits [LAWS, V]: the last token chooses the row.

    Its cache is the number of committed tokens.
    """

    vocabulary: int

    def init(self, capacity: int, nodes: int) -> Count:
        return jnp.int32(0)

    def score(
        self,
        params: Float[Array, "L V"],
        cache: Count,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        return Scores(params[tokens[nodes][asked] % LAWS], (), cache)

    def commit(self, cache: Count, path: Int[Array, " D"]) -> Count:
        return cache + jnp.sum(path != NO_NODE, dtype=jnp.int32)


class Bare(NamedTuple):
    """A decode without forwards, and the number of its steps."""

    call: Call
    steps: int


def bare(
    vocabulary: int,
    tree: TreeDrafting,
    verifier: Verifier,
    sampling: Sampling,
    tokens: int,
) -> Bare:
    """A decode of `tokens` tokens by the tree and verifier; target and draft have one law."""
    model = FewLaws(vocabulary)
    table = jax.random.normal(seeds.key(0), (LAWS, vocabulary)) * 4
    pair = Pair(model, table, model, table, Letters(), -1, ())
    decoder = decode.decoder(pair, tree, tree.scheme, sampling)
    asked = (seeds.key(0), Params(table, table), jnp.zeros(64, jnp.int32), jnp.int32(64), tokens)
    call = bind(decode.decode, decoder, verifier, *asked)
    return Bare(call, int(call().steps))
