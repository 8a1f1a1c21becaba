"""The tree called sequoia: the best one for the acceptance that a pair of models shows, slot by
slot.
"""

import jax

from experiments.cli import console, seeds
from experiments.decoding import pair_profile, published_trees
from experiments.inputs.sampling_options import PairSampling
from specjax import decode
from specjax.models import Pair

KIND = "sequoia"
PROMPTS, CALLS, SLOTS = 16, 16, 16  # where acceptance is measured; children of a node at most
STREAM = 2**31 - 1  # programs are numbered from 0


def check(trees: tuple[str, ...]) -> bool:
    """Whether one of the trees is a sequoia.

    Raises:
      ValueError: one is, without its sizes.
    """
    return bool([_sizes(tree) for tree in trees if tree.partition(":")[0] == KIND])


def _sizes(tree: str) -> tuple[int, int]:
    """Drafts, and drafts on a path at most: as many, if that is not said."""
    sizes = [int(size) if size.isdecimal() else 0 for size in tree.partition(":")[2].split("x")]
    if len(sizes) > 2 or min(sizes) < 1:
        raise ValueError(
            f"tree: expected {KIND}:N or {KIND}:NxDEPTH with numbers >= 1, got {tree!r}"
        )
    return sizes[0], sizes[-1]


def resolved(
    trees: tuple[str, ...], pair: Pair, sampling: PairSampling, seed: int
) -> tuple[str, ...]:
    """The names with `branching:..` in place of `sequoia:N`: N drafts at most; `sequoia:NxDEPTH`
    bounds the depth as well.

    The acceptance of each slot under recursive rejection without replacement is measured at the
    first calls after the pair's prompts, and Sequoia's dynamic programme takes it as the same at
    every node. What is chosen is said. Source: chen2024sequoia.
    """
    if not check(trees):
        return trees
    prompts = decode.padded(decode.encoded(pair, pair.prompts[:PROMPTS], 2 * CALLS))
    key = jax.random.fold_in(seeds.key(seed), STREAM)
    slots = min(SLOTS, pair.target.vocabulary)
    acceptance = pair_profile.profile(pair, sampling, key, *prompts, CALLS, slots).acceptance
    found = []
    for tree in trees:
        if tree.partition(":")[0] == KIND:
            (chosen,) = published_trees.sequoia(published_trees.Limits(*_sizes(tree), acceptance))
            console.say(
                f"{tree} is {chosen}, by the acceptance of each slot: "
                f"{' '.join(f'{chance:.3f}' for chance in acceptance)}"
            )
            tree = chosen
        found.append(tree)
    return tuple(found)
