"""Times of jitted calls that take turns: medians, so that what else the machine does falls on all
of them alike.
"""

import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.cli.console import track
from experiments.cli.tables import Table

Call = Callable[[], PyTree]
SHORT, TURNS = 2e-3, 20  # a call is repeated to so many seconds a turn, so many times at the most


def bind(function: Callable[..., PyTree], *arguments: PyTree) -> Call:
    """The call of a jitted function with these arguments."""
    return lambda: function(*arguments)


def medians(calls: dict[str, Call], repeats: int, description: str) -> dict[str, float]:
    """Milliseconds per call over `repeats` interleaved rounds; compilation is left out."""
    turns = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        turns[name] = max(1, min(TURNS, int(SHORT / seconds(call, 1))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(repeats), description):
        for name, call in calls.items():
            times[name].append(1e3 * seconds(call, turns[name]))
    return {name: float(np.median(t)) for name, t in times.items()}


def seconds(call: Call, turns: int) -> float:
    """Seconds of a call, the mean of so many in a row."""
    start = time.perf_counter()
    for _ in range(turns):
        jax.block_until_ready(call())
    return (time.perf_counter() - start) / turns


def table(
    title: str, heads: tuple[str, ...], lines: Sequence[tuple[str, ...]], names: int
) -> Table:
    """Figures to the right, the first `names` columns to the left."""
    return Table(heads, names, title, list(lines))


def against(value: float | None, limit: float | None, form: str) -> str:
    """A figure for a table, marked if it is beyond its limit."""
    if value is None:
        return "-"
    text = format(value, form)
    return text if limit is None or value <= limit else f"[bold red]{text}[/]"


def stated(limit: float | None) -> str:
    """A limit for a table."""
    return "-" if limit is None else f"{limit:g}"
