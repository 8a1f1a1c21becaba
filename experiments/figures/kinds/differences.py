"""Paired differences of acceptance between rules at the same contexts, with 95 % bootstrap
intervals over contexts.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiments.figures import lines, style
from experiments.figures.stored_rows import Row, groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL, RESAMPLES, TOGETHER = 0.95, 2000, 100
SEED = 0  # the same rows give the same interval

Values = NDArray[np.float64]
BySeed = dict[int | None, Row]


def points(rows: list[Row]) -> list[Row]:
    """Each rule less the rule of largest mean acceptance under the same scheme, tree and n; none
    where rows hold no single contexts.

    The unit that is drawn again is the context, of model pairs the prompt: contexts of one text are
    not independent.
    """
    held = [
        row for row in rows if row.get("acceptance_values") and None not in row["acceptance_values"]
    ]
    cells = {key: _by_rule(group) for key, group in groups(held, "scheme", "n", "tree").items()}
    return [
        {
            "setting": str(setting),
            "scheme": scheme,
            "n": n,
            "tree": tree,
            "rule": rule,
            "best": best,
        }
        | _difference(by_rule[rule], by_rule[best])
        for (setting, scheme, n, tree), by_rule in cells.items()
        for best in [max(by_rule, key=lambda rule: _mean(*_stacked(by_rule[rule])))]
        for rule in by_rule
        if rule != best and by_rule[rule].keys() == by_rule[best].keys()
    ]


def _by_rule(rows: list[Row]) -> dict[str, BySeed]:
    """The rows of each rule by seed: two rules are compared where they saw the same laws."""
    found: dict[str, BySeed] = {}
    for row in sorted(rows, key=lambda row: row["rule"]):
        found.setdefault(row["rule"], {})[row.get("seed")] = row
    return found


def _difference(mine: BySeed, best: BySeed) -> dict[str, float]:
    samples = (*_stacked({seed: mine[seed] for seed in best}), *_stacked(best))
    value = float(_statistic(*samples))
    low, high = _interval(samples) if np.ptp(samples[0] - samples[2]) > 0 else (value, value)
    return {"value": value, "low": low, "high": high, "units": len(samples[0])}


def _stacked(by_seed: BySeed) -> tuple[Values, Values]:
    """Acceptance and weight of every unit of all seeds."""
    values = [row["acceptance_values"] for row in by_seed.values()]
    weights = [row["weights"] for row in by_seed.values()]
    return np.concatenate(values), np.concatenate(weights)


def _interval(samples: tuple[Values, ...]) -> tuple[float, float]:
    """Bias-corrected and accelerated, all columns drawn together."""
    found = stats.bootstrap(
        samples,
        _statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=TOGETHER,
        confidence_level=LEVEL,
        rng=SEED,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _statistic(
    a: Values,
    a_weights: Values,
    b: Values,
    b_weights: Values,
    axis: int = -1,
) -> Values:
    return _mean(a, a_weights, axis) - _mean(b, b_weights, axis)


def _mean(values: Values, weights: Values, axis: int = -1) -> Values:
    return np.asarray((values * weights).sum(axis) / weights.sum(axis))


def draw(points: list[Row]) -> "Figure":
    """One line for each rule, the intervals side by side at each n."""
    figure, panels = lines.board(points, "scheme", "acceptance less that of the best rule (95 %)")
    rules = sorted({point["rule"] for point in points})
    for (setting, scheme), panel in panels.items():
        mine = [
            point for point in points if (point["setting"], point["scheme"]) == (setting, scheme)
        ]
        cells = list(dict.fromkeys((p["tree"], p["n"], p["best"]) for p in mine))
        for index, rule in enumerate(rules):
            colour = style.colour(rule)
            held = [point for point in mine if point["rule"] == rule]
            if held:
                x = [
                    cells.index((p["tree"], p["n"], p["best"]))
                    + 0.6 * (index + 0.5 - len(rules) / 2) / len(rules)
                    for p in held
                ]
                value, low, high = np.transpose([(p["value"], p["low"], p["high"]) for p in held])
                panel.errorbar(
                    x,
                    value,
                    (value - low, high - value),
                    fmt="o",
                    color=colour,
                    capsize=2,
                    label=rule,
                )
        panel.axhline(0, color="k", linewidth=0.8)
        panel.set_xticks(range(len(cells)), [f"{tree}\n{best}" for tree, n, best in cells])
        panel.set_xlim(-0.5, len(cells) - 0.5)
        panel.set_xlabel("drafts, and the best rule there")
        panel.set_ylabel("difference of acceptance")
    lines.legend(figure)
    return figure
