"""The contexts at which rules are compared: texts that the target itself draws after each prompt.

They are the same whoever verifies the drafts.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree

from specjax import decode
from specjax.models import LanguageModel, Pair, prefill
from specjax.numerics import Sampling, draw, uniforms
from specjax.trees import ROOT, chain


class Texts(NamedTuple):
    """Prompts padded to one length, and T tokens that the target drew after each; what stands
    before each of these is a context.

    Attributes:
      prompts: [B, P].
      lengths: [B].
      said: [B, T]; what follows an EOS token has no meaning.
    """

    prompts: Int[Array, "B P"]
    lengths: Int[Array, " B"]
    said: Int[Array, "B T"]


def drawn(
    pair: Pair,
    sampling: Sampling,
    key: Key[Array, ""],
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    count: int,
) -> Texts:
    """The texts that this key gives: no rule, tree or drafting scheme has a part in them. Cost:
    `count` forwards of the target.
    """
    said = _said(
        pair.target,
        sampling,
        per_prompt(key, len(lengths)),
        pair.target_params,
        prompts,
        lengths,
        count,
    )
    return Texts(prompts, lengths, said)


def per_prompt(key: Key[Array, ""], count: int) -> Key[Array, " B"]:
    """A key for each prompt, by its place."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))


@functools.partial(jax.jit, static_argnames=("target", "sampling", "count"))
def _said(
    target: LanguageModel,
    sampling: Sampling,
    keys: Key[Array, " B"],
    params: PyTree,
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    count: int,
) -> Int[Array, "B T"]:
    rows = decode.bucket(prompts.shape[1] + count + 1)

    def one(
        key: Key[Array, ""], prompt: Int[Array, " P"], length: Int[Array, ""]
    ) -> Int[Array, " T"]:
        def step(
            state: tuple[PyTree, Int[Array, ""]], place: Int[Array, ""]
        ) -> tuple[tuple[PyTree, Int[Array, ""]], Int[Array, ""]]:
            cache, last = state
            scores = target.score(params, cache, last[None], chain(0))
            law = sampling.law(scores.logits[ROOT])
            token = draw(law, uniforms(jax.random.fold_in(key, place), (), law.dtype))
            return (target.commit(scores.cache, jnp.array([ROOT])), token), token

        start = prefill(target, params, prompt, length, rows).cache, prompt[length - 1]
        return jax.lax.scan(step, start, jnp.arange(count))[1]

    return jax.vmap(one)(keys, prompts, lengths)
