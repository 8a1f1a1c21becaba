"""Whether published ways to draft a tree emit more than one path of the same budget."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from experiments.decoding.published_trees import CLAIMS, METHODS, SINGLE
from experiments.stats.means import mean, reach


class Row(TypedDict):
    """What a verifier emits on a tree of a method: tokens per target call, in all and after each
    prompt; and the fixed-tree bound at these calls, None if drafts are drawn.
    """

    pair: str
    method: str
    budget: int
    tree: str
    drafts: int
    scheme: str
    verifier: str
    calls: int
    block_efficiency: float
    block_efficiency_se: float
    fixed_tree_bound: float | None
    by_prompt: list[float]


class Claim(TypedDict):
    """Whether several drafts emit more than one path: the mean difference and its interval; None
    if the method has no tree of this budget.
    """

    method: str
    source: str
    verifier: str
    budget: int
    trees: list[str]
    against: str
    path: list[str]
    difference: float | None
    low: float | None
    high: float | None
    reproduced: bool | None


def chosen(
    rows: Sequence[Row], method: str, verifier: str, budget: int
) -> tuple[NDArray[np.float64], list[str]]:
    """Block efficiency after each prompt, on the tree that is best after the prompts of the other
    half; and the trees so chosen.
    """
    asked = (method, verifier, budget)
    mine = [row for row in rows if (row["method"], row["verifier"], row["budget"]) == asked]
    if not mine:
        return np.zeros(0), []
    values = np.array([row["by_prompt"] for row in mine])
    halves = np.arange(values.shape[1]) % 2
    best = [int(values[:, halves != half].mean(1).argmax()) for half in (0, 1)]
    trees = list(dict.fromkeys(mine[i]["tree"] for i in best))
    return np.where(halves == 0, values[best[0]], values[best[1]]), trees


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Whether drafting several tokens emits more than one path of the same budget, verified token
    by token or as a block.

    One row per claim and budget: the mean difference over prompts, its interval, and `reproduced`:
    the interval lies above 0.
    """
    held = {row["method"] for row in rows}
    budgets = sorted({row["budget"] for row in rows})
    names = [name for name in CLAIMS if {name, SINGLE} <= held]
    return [
        _claim(rows, name, against, budget)
        for name in names
        for against in METHODS[SINGLE].verifiers
        for budget in budgets
    ]


def _claim(rows: Sequence[Row], name: str, against: str, budget: int) -> Claim:
    verifier = METHODS[name].verifiers[0]
    several, trees = chosen(rows, name, verifier, budget)
    single, path = chosen(rows, SINGLE, against, budget)
    claim: Claim = {
        "method": name,
        "source": CLAIMS[name],
        "verifier": verifier,
        "budget": budget,
        "trees": trees,
        "against": against,
        "path": path,
        "difference": None,
        "low": None,
        "high": None,
        "reproduced": None,
    }
    if trees:
        difference, error = mean(several - single)
        half = reach(error, len(single))
        claim["difference"] = difference
        claim["low"] = difference - half
        claim["high"] = difference + half
        claim["reproduced"] = difference - half > 0
    return claim
