"""Contexts a second of the optimum and of every rule's expectation, against a plain NumPy loop over
the same contexts.
"""

import functools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import jax
import numpy as np

import theory
from experiments.cli.console import track
from experiments.cli.tables import Table
from experiments.enumeration import rule_laws
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import log_normal
from specjax import bounds, drafting, rules
from specjax._types import Rule, Scalar

CONTEXTS = 64
BOUNDS = ("iid", "without_replacement")
# times a NumPy loop's rate, by scheme, on two cores
LIMITS = {"iid": 8.0, "without_replacement": 50.0}
PATIENCE = 2.0  # seconds after which nothing is timed again

Loop = Callable[[], int]
Plain = Callable[[np.ndarray, np.ndarray], object]
Measured = tuple[str, str, Callable[..., Scalar], Plain]


class Row(TypedDict):
    """Contexts a second of one optimum or rule, here and in a loop."""

    what: str
    scheme: str
    vocabulary: int
    n: int
    contexts_a_second: float
    numpy_contexts_a_second: float
    ratio: float
    limit: float | None


def run(vocabulary: int, n: int, repeats: int, seed: int) -> list[Row]:
    """One row per optimum and per rule with an exact expectation: contexts a second here and in
    `theory`, and the ratio of the two.
    """
    p, q = log_normal(vocabulary, seed, CONTEXTS)
    exact = [np.asarray(laws, np.float64) for laws in (p, q)]
    exact = [laws / laws.sum(-1, keepdims=True) for laws in exact]
    rows: list[Row] = []
    parts = list(zip(*(np.array_split(laws, os.cpu_count() or 1) for laws in (p, q)), strict=True))
    with ThreadPoolExecutor(len(parts)) as pool:
        for name, scheme, fast, plain in track(_measured(n), f"throughput, V = {vocabulary}"):
            compiled = functools.partial(_in_threads, pool, _mapped(fast), parts)
            compiled()
            ours, theirs = _rates(compiled, functools.partial(_one_by_one, plain, *exact), repeats)
            rows.append(
                {
                    "what": name,
                    "scheme": scheme,
                    "vocabulary": vocabulary,
                    "n": n,
                    "contexts_a_second": ours,
                    "numpy_contexts_a_second": theirs,
                    "ratio": ours / theirs,
                    "limit": LIMITS.get(scheme),
                }
            )
    return rows


def _measured(n: int) -> list[Measured]:
    """Name, scheme, the function of specjax and that of theory."""
    found: list[Measured] = []
    for scheme in (scheme for scheme in BOUNDS if rule_laws.drafts(scheme, n)):
        plain = functools.partial(
            lambda p, q, scheme: theory.subsets.optimum(theory.Problem(p, q, n, scheme)),
            scheme=scheme,
        )
        found.append(
            (
                "alpha*",
                scheme,
                functools.partial(bounds.optimal_acceptance, n=n, scheme=scheme),
                plain,
            )
        )
    drawn = [scheme for scheme in drafting.from_one_law() if rule_laws.drafts(scheme, n)]
    for make in _rules(n):
        under = next((scheme for scheme in drawn if scheme in make.claims.drafting), None)
        fast = rules.closed_form(make(), n, under) if under else None
        if under and fast:
            found.append(
                (
                    make.name,
                    under,
                    fast,
                    functools.partial(getattr(theory.closed_form, make.name), n=n, scheme=under),
                )
            )
    return found


def _rules(n: int) -> list[type[Rule]]:
    """The lossless rules that take n drafts at any pair of laws, and whose closed form `theory` has
    as well.
    """
    return [
        make
        for make in rules.all()
        if make.claims.lossless
        and not make.claims.per_pair
        and make.claims.admits(n)
        and hasattr(theory.closed_form, make.name)
    ]


def _mapped(fast: Callable[..., Scalar]) -> Callable[..., jax.Array]:
    """One context after the other: by vmap, a CPU takes up to three times as long where loops end
    at different times.
    """
    return jax.jit(lambda p, q: jax.lax.map(lambda pair: fast(*pair), (p, q)))


def _in_threads(
    pool: ThreadPoolExecutor,
    program: Callable[..., jax.Array],
    parts: list[tuple[jax.Array, jax.Array]],
) -> int:
    """All contexts; says how many."""
    done = pool.map(lambda laws: jax.block_until_ready(program(*laws)), parts)
    return sum(map(len, done))


def _one_by_one(plain: Plain, p: np.ndarray, q: np.ndarray) -> int:
    """As many of the contexts, from the first on, as patience allows; says how many."""
    start = time.perf_counter()
    for context in range(len(p)):
        plain(p[context], q[context])
        if time.perf_counter() - start > PATIENCE:
            return context + 1
    return len(p)


def _rates(ours: Loop, theirs: Loop, repeats: int) -> tuple[float, float]:
    """Contexts a second, medians of loops that take turns; one that has taken long enough is not
    run again.
    """
    rates: tuple[list[float], list[float]] = ([], [])
    taken = [0.0, 0.0]
    for _ in range(repeats):
        for side, loop in enumerate((ours, theirs)):
            if taken[side] < PATIENCE:
                start = time.perf_counter()
                contexts = loop()
                seconds = time.perf_counter() - start
                taken[side] += seconds
                rates[side].append(contexts / seconds)
    return float(np.median(rates[0])), float(np.median(rates[1]))


def table(rows: list[Row]) -> Table:
    """One line per optimum and rule; a ratio below its limit is marked."""
    heads = ("what", "scheme", "contexts / s", "NumPy loop", "ratio", "at least")
    lines = [
        (
            row["what"],
            row["scheme"],
            f"{row['contexts_a_second']:.0f}",
            f"{row['numpy_contexts_a_second']:.1f}",
            _marked(row["ratio"], row["limit"]),
            "-" if row["limit"] is None else f"{row['limit']:g}",
        )
        for row in rows
    ]
    return figures(
        f"throughput, V = {rows[0]['vocabulary']}, n = {rows[0]['n']}, {os.cpu_count()} cores",
        heads,
        lines,
        2,
    )


def _marked(ratio: float, limit: float | None) -> str:
    return f"{ratio:.1f}" if limit is None or ratio >= limit else f"[bold red]{ratio:.1f}[/]"
