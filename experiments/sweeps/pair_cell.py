"""One cell of a model pair: what `compare` measures of one rule on one tree."""

import functools

import numpy as np

from experiments.decoding import comparison
from experiments.decoding.comparison import Asked
from experiments.inputs import sampling_options
from experiments.sweeps.folder import Measured
from experiments.sweeps.grids import Cell
from specjax.models import pairs

SAME = (
    "scheme",
    "n",
    "contexts",
    "consistent",
    "alpha_star",
    "gap",
    "block_efficiency",
    "acceptance_count",
    "expected",
    "tv",
    "kl",
    "efficiency",
    "alpha_token",
)


def measure(cell: Cell) -> Measured:
    """The cell's row, and its columns by prompt. The rules of one seed start from the same prompts
    with the same draws.
    """
    assert cell.pair is not None
    asked = Asked(
        pair=cell.pair,
        rules=(cell.rule,),
        trees=(cell.tree,),
        sampling=sampling_options.of_pair(cell),
        contexts=cell.contexts,
        seed=cell.seed,
    )
    (found,) = comparison.rows(comparison.plan(asked))
    row = {
        name: value
        for name, value in found.items()
        if name.removesuffix("_se") in SAME and name != "alpha_token_se"
    }
    row |= {
        "acceptance": found["acceptance_law_mass"],
        "acceptance_se": found["acceptance_law_mass_se"],
    }
    row |= {"vocabulary": _vocabulary(cell.pair), "exact": False}
    by_prompt = {name: np.array(values, np.float64) for name, values in found["by_prompt"].items()}
    return Measured(
        row,
        {
            f"{name}_values" if name != "nodes" else "weights": values
            for name, values in by_prompt.items()
        },
    )


@functools.cache
def _vocabulary(pair: str) -> int:
    return pairs.load(pair).target.vocabulary
