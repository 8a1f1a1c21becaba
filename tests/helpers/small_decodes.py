"""Decodes of a small Markov pair, whose laws are known."""

import functools

import jax.numpy as jnp

from experiments.inputs import named_verifiers
from specjax import decode, trees
from specjax.models import Pair
from specjax.models.markov import Markov, random_tables
from specjax.models.pairs.markov import Letters
from specjax.numerics import AS_IS

PROMPT = jnp.array([2, 0, 1, 0, 0], jnp.int32)


@functools.cache
def small_pair(vocabulary=3, order=1):
    model = Markov(vocabulary, order)
    target, draft = random_tables(vocabulary, order, entropy=0.8, distance=0.25, seed=1)
    return Pair(model, target, model, draft, Letters(), -1, ())


def setting(pair, tree, rule, scheme, sampling=AS_IS):
    topology = trees.parse(tree)
    return decode.decoder(pair, topology, scheme, sampling), decode.verifier(
        named_verifiers.made(rule), scheme, topology
    )


def weights(pair):
    return decode.Params(pair.target_params, pair.draft_params)
