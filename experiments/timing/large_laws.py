"""Pairs of laws at the vocabularies of real models, in float32."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from experiments.cli import seeds
from experiments.cli.console import say
from specjax import trees
from specjax.models import LanguageModel, pairs

Laws = tuple[Float[Array, "T V"], Float[Array, "T V"]]

CONTEXTS = 32
ZIPF = 1.1  # exponent


def log_normal(vocabulary: int, seed: int, contexts: int) -> Laws:
    """p and q of logits with standard deviation 3, those of q with an error of standard deviation
    1.
    """
    rng = np.random.default_rng(seeds.natural(seed))
    return _pair(rng, rng.normal(0, 3, (contexts, vocabulary)))


def zipf(vocabulary: int, seed: int, contexts: int) -> Laws:
    """p ~ rank^-1.1 and q with the same error as in `log_normal`."""
    return _pair(
        np.random.default_rng(seeds.natural(seed)),
        np.tile(-ZIPF * np.log1p(np.arange(vocabulary)), (contexts, 1)),
    )


def _pair(rng: np.random.Generator, logits: Float[np.ndarray, "T V"]) -> Laws:
    drafted = logits + rng.normal(0, 1, logits.shape)
    p = jax.nn.softmax(jnp.asarray(logits, jnp.float32))
    return p, jax.nn.softmax(jnp.asarray(drafted, jnp.float32))


def smollm2() -> Laws | None:
    """The laws of the pair smollm2 after each token of its prompts' beginning; None where its
    weights are not installed.
    """
    try:
        pair = pairs.load("smollm2")
    except ValueError as missing:
        say(f"left out: {missing}")
        return None
    tokens = jnp.array(pair.tokenizer.encode(" ".join(pair.prompts))[:CONTEXTS], jnp.int32)
    return _laws(pair.target, pair.target_params, tokens), _laws(
        pair.draft, pair.draft_params, tokens
    )


def _laws(model: LanguageModel, params: PyTree, tokens: Int[Array, " T"]) -> Float[Array, "T V"]:
    size = len(tokens)
    return jax.nn.softmax(
        model.score(params, model.init(size, size), tokens, trees.chain(size - 1)).logits
    )
