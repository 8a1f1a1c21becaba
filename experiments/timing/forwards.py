"""What a forward of a model costs inside a decode: c(T), for T tokens that are scored at once."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

import theory
from experiments.timing.clock import Call, bind
from specjax._types import Count
from specjax.models import LanguageModel, prefill
from specjax.trees import ROOT, chain
from theory.speed import CostCurve

STEPS = 16  # forwards in one call, as in a decode: one after another, each after a commit
LENGTH = 64  # tokens that the cache holds before the first


def costs(counts: tuple[int, ...], milliseconds: list[float]) -> CostCurve:
    """c(T) in milliseconds, between the measured points.

    Args:
      counts: numbers of tokens, 1 first, ascending.
      milliseconds: of a forward of each.
    """
    one, *others = milliseconds
    relative = theory.speed.cost_curve(counts[1:], [each / one for each in others])
    return lambda count: one * relative(count)


def call(model: LanguageModel, params: PyTree, count: int) -> Call:
    """STEPS forwards of `count` tokens."""
    prompt = jnp.arange(LENGTH, dtype=jnp.int32) % model.vocabulary
    rows = 2 * LENGTH + STEPS + count
    cache = prefill(model, params, prompt, jnp.int32(LENGTH), rows).cache
    return bind(_forwards, model, params, cache, jnp.zeros(count, jnp.int32))


def prefill_call(
    model: LanguageModel, params: PyTree, prompt: Int[Array, " P"], length: Count
) -> Call:
    """The reading of a padded prompt."""
    return bind(prefill, model, params, prompt, length, prompt.shape[0])


def read_call(params: PyTree) -> Call:
    """Reading every weight once."""
    return bind(_sum, params)


@functools.partial(jax.jit, static_argnums=0)
def _forwards(
    model: LanguageModel, params: PyTree, cache: PyTree, tokens: Int[Array, " T"]
) -> PyTree:
    def step(_: int, carry: tuple[PyTree, Int[Array, " T"]]) -> tuple[PyTree, Int[Array, " T"]]:
        cache, tokens = carry
        scores = model.score(params, cache, tokens, chain(tokens.shape[0] - 1))
        # all logits are looked at once; what is committed is known only after the forward
        said = (jnp.max(scores.logits, -1) > 0).astype(jnp.int32)
        path = jnp.minimum(said[:1], ROOT)
        return model.commit(scores.cache, path), said

    return jax.lax.fori_loop(0, STEPS, step, (cache, tokens))


@jax.jit
def _sum(params: PyTree) -> Array:
    return jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(params)])
