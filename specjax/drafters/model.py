"""A language model drafts a fixed tree, level by level."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, PyTree

from specjax import drafting
from specjax._types import Count, RandomKey
from specjax.models import LanguageModel, prefill
from specjax.numerics import AS_IS, Sampling
from specjax.trees import ROOT, Draft, Topology, Verdict


class _State(NamedTuple):
    cache: PyTree
    last: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class ModelDrafter:
    """Draws the children of every node of `topology` from the model's law there, by one drafting scheme.

    Cost: one forward for each level, the leaves included, so that whatever path is accepted is already in the cache.
    """

    model: LanguageModel
    topology: Topology
    scheme: str
    sampling: Sampling = AS_IS

    def init(self, params: PyTree, prompt: Int[Array, " P"], length: Count, rows: int) -> _State:
        return _State(prefill(self.model, params, prompt, length, rows), prompt[length - 1])

    def propose(self, key: RandomKey, params: PyTree, state: _State) -> tuple[Draft, _State]:
        topology, cache = self.topology, state.cache
        tokens = jnp.zeros(topology.nodes, jnp.int32).at[ROOT].set(state.last)
        active = jnp.ones(topology.nodes, bool)
        laws = []
        for first, end in zip(topology.levels, topology.levels[1:], strict=False):
            scores = self.model.score(params, cache, tokens, topology, slice(first, end))
            cache = scores.cache
            laws.append(self.sampling.law(scores.logits))
            tokens, active = self._grow(key, laws[-1], first, tokens, active)
        drawn = dataclasses.replace(topology, active=active)
        return Draft(drawn, tokens, jnp.concatenate(laws), self.scheme), _State(cache, state.last)

    def _grow(self, key: RandomKey, laws: Array, first: int, tokens: Int[Array, " N"], active: Array) -> tuple[Int[Array, " N"], Array]:
        """Draw the children of the nodes first, first + 1, .. whose laws are given; nodes with equally many children together."""
        children = np.asarray(self.topology.children)[first : first + laws.shape[0]]
        arity = (children >= 0).sum(1)
        sample = drafting.get(self.scheme).sample
        for n in sorted(set(arity[arity > 0].tolist())):
            rows = np.flatnonzero(arity == n)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first + rows)
            drawn, live = jax.vmap(lambda key, q, n=n: sample(key, q, n))(keys, laws[rows])
            slots = children[rows, :n]
            tokens = tokens.at[slots].set(drawn.astype(jnp.int32))
            active = active.at[slots].set(live & active[first + rows][:, None])
        return tokens, active

    def observe(self, state: _State, verdict: Verdict, features: PyTree) -> _State:
        return _State(self.model.commit(state.cache, verdict.path), verdict.tokens[verdict.length - 1])
