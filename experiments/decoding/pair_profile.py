"""What a draft model's drafts are worth to its target, slot by slot, and how spread out the
target's laws are.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from numpy.typing import NDArray

from experiments.decoding import paired
from experiments.inputs.sampling_options import PairSampling
from specjax import decode, rules
from specjax.models import Pair
from specjax.numerics import total
from specjax.trees import ROOT, Draft, Verdict, star
from specjax.verifiers import TopDown, Verifier, Walk
from theory.tree_shapes import LogMoments

SCHEME, RULE = "without_replacement", "recursive_rejection_without_replacement"


class Profile(NamedTuple):
    """What a pair of models is like at the contexts of a decode.

    Attributes:
      acceptance: [n], the chance that recursive rejection without replacement accepts the draft in
        each slot of a node.
      moments: of -log p, over the target's laws.
    """

    acceptance: NDArray[np.float64]
    moments: LogMoments


def profile(
    pair: Pair,
    sampling: PairSampling,
    key: Key[Array, ""],
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    calls: int,
    slots: int,
) -> Profile:
    """Measured at the root of stars of `slots` drafts in `calls` target calls after each prompt,
    the draw of the token averaged out.
    """
    tree = star(slots)
    decoder = decode.decoder(pair, tree, SCHEME, *sampling)
    verifier = decode.verifier(rules.get(RULE)(), SCHEME, tree)
    start = paired.start(decoder, pair, key, prompts, lengths, calls)
    ran, seen = paired.lead(decoder, (verifier,), start, 1, calls, _at_root, True)
    masses, logs = seen.record
    first, second = np.asarray(logs, np.float64)[ran].mean(0)
    return Profile(
        np.asarray(masses, np.float64)[ran].mean(0), LogMoments(float(first), float(second))
    )


def _at_root(
    verifiers: tuple[Verifier, ...],
    draft: Draft,
    p: Float[Array, "N V"],
    walks: list[Walk],
    kept: list[Verdict],
) -> tuple[Float[Array, " n"], Float[Array, " 2"]]:
    """The law's mass on each draft, and E[-log p], E[log^2 p]."""
    (verifier,) = verifiers
    assert isinstance(verifier, TopDown)
    drafts = draft.tokens[ROOT + 1 :]
    drawn = draft.topology.active[ROOT + 1 :]
    law = verifier.rule.law(drafts, p[ROOT], draft.q[ROOT], jnp.asarray(drawn))
    logs = jnp.log(jnp.where(p[ROOT] > 0, p[ROOT], 1))
    moments = jnp.stack([total(-p[ROOT] * logs), total(p[ROOT] * logs**2)])
    return jnp.where(drawn, law[drafts], 0), moments
