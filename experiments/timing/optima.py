"""The optimum with its bracket, as a multiple of one argsort of the same vocabulary."""

import functools
from typing import TypedDict

import jax
import jax.numpy as jnp

from experiments.cli.tables import Table
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import log_normal, zipf
from specjax import bounds

SMALL, LARGE = 32768, 131072
# multiples of one argsort
COST = {"iid": {SMALL: 0.12, LARGE: 0.06}, "without_replacement": {SMALL: 0.3, LARGE: 0.15}}
WIDTH = {"iid": 1e-6, "without_replacement": 5e-6}


class Row(TypedDict):
    """The time and the bracket of one optimum."""

    scheme: str
    vocabulary: int
    n: int
    milliseconds: float
    multiple_of_argsort: float
    limit: float | None
    width: float
    width_limit: float


def run(
    vocabularies: tuple[int, ...], lengths: tuple[int, ...], repeats: int, seed: int
) -> list[Row]:
    """One row per scheme, V and n: the time on a log-normal pair, the wider bracket of that and a
    Zipf pair.
    """
    rows: list[Row] = []
    for vocabulary in vocabularies:
        batches = (log_normal(vocabulary, seed, 1), zipf(vocabulary, seed, 1))
        pairs = [(p[0], q[0]) for p, q in batches]
        calls: dict[str, Call] = {"argsort": bind(jax.jit(jnp.argsort), pairs[0][0])}
        brackets = {
            (scheme, n): jax.jit(functools.partial(bounds.bracket, n=n, scheme=scheme))
            for scheme in COST
            for n in lengths
        }
        calls |= {
            f"{scheme} {n}": bind(bracket, *pairs[0]) for (scheme, n), bracket in brackets.items()
        }
        times = medians(calls, repeats, f"bounds, V = {vocabulary}")
        for (scheme, n), bracket in brackets.items():
            found = [bracket(*pair) for pair in pairs]
            rows.append(
                {
                    "scheme": scheme,
                    "vocabulary": vocabulary,
                    "n": n,
                    "milliseconds": times[f"{scheme} {n}"],
                    "multiple_of_argsort": times[f"{scheme} {n}"] / times["argsort"],
                    "limit": COST[scheme].get(vocabulary),
                    "width": max(float(one.upper - one.lower) for one in found),
                    "width_limit": WIDTH[scheme],
                }
            )
    return rows


def table(rows: list[Row]) -> Table:
    """One line per scheme, V and n."""
    heads = ("scheme", "V", "n", "ms", "x one argsort", "limit", "bracket", "limit")
    lines = [
        (
            row["scheme"],
            str(row["vocabulary"]),
            str(row["n"]),
            f"{row['milliseconds']:.3f}",
            against(row["multiple_of_argsort"], row["limit"], ".3f"),
            stated(row["limit"]),
            against(row["width"], row["width_limit"], ".1e"),
            stated(row["width_limit"]),
        )
        for row in rows
    ]
    return figures("alpha* with its bracket; widths on log-normal and Zipf pairs", heads, lines, 1)
