"""Whether published ways to draft a tree emit more than one path of the same budget."""

import numpy as np
from numpy.typing import NDArray

from experiments.decoding.published_trees import CLAIMS, METHODS, SINGLE
from experiments.stats.means import mean, reach


def chosen(
    rows: list[dict], method: str, verifier: str, budget: int
) -> tuple[NDArray[np.float64], list[str]]:
    """Block efficiency after each prompt, on the tree that is best after the prompts of the other
    half; and the trees so chosen.
    """
    mine = [
        row
        for row in rows
        if (row["method"], row["verifier"], row["budget"]) == (method, verifier, budget)
    ]
    if not mine:
        return np.zeros(0), []
    values = np.array([row["by_prompt"] for row in mine])
    halves = np.arange(values.shape[1]) % 2
    best = [int(values[:, halves != half].mean(1).argmax()) for half in (0, 1)]
    return np.where(halves == 0, values[best[0]], values[best[1]]), list(
        dict.fromkeys(mine[i]["tree"] for i in best)
    )


def claims(rows: list[dict]) -> list[dict]:
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


def _claim(rows: list[dict], name: str, against: str, budget: int) -> dict:
    verifier = METHODS[name].verifiers[0]
    several, trees = chosen(rows, name, verifier, budget)
    single, path = chosen(rows, SINGLE, against, budget)
    stated = {
        "method": name,
        "source": CLAIMS[name],
        "verifier": verifier,
        "budget": budget,
        "trees": trees,
        "against": against,
        "path": path,
    }
    if not trees:
        return {**stated, "difference": None, "low": None, "high": None, "reproduced": None}
    difference, error = mean(several - single)
    half = reach(error, len(single))
    low = difference - half
    high = difference + half
    return {**stated, "difference": difference, "low": low, "high": high, "reproduced": low > 0}
