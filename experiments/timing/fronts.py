"""The front of lossy rules and the rule that attains it, as multiples of one argsort."""

import functools
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.cli.tables import Table
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import log_normal, zipf
from experiments.timing.nodes import verify
from specjax import bounds, rules
from specjax._types import Law, Scalar
from theory import Problem, front

PRICE = 1.0
COST, BELOW = 2.0, 1e-5


class Row(TypedDict):
    """The times at one V and n, and how far below the line the rule is, at most."""

    vocabulary: int
    n: int
    price: float
    bound_of_argsort: float
    rule_of_argsort: float
    limit: float
    below_line: float
    below_limit: float


def run(
    vocabularies: tuple[int, ...], lengths: tuple[int, ...], repeats: int, seed: int
) -> list[Row]:
    """One row per V and n: the times on a log-normal pair, the distance from the line of that and a
    Zipf pair.
    """
    rows: list[Row] = []
    for vocabulary in vocabularies:
        batches = (log_normal(vocabulary, seed, 1), zipf(vocabulary, seed, 1))
        pairs = [(p[0], q[0]) for p, q in batches]
        times = _times(pairs[0], lengths, repeats)
        for n in lengths:
            rows.append(
                {
                    "vocabulary": vocabulary,
                    "n": n,
                    "price": PRICE,
                    "bound_of_argsort": times[f"bound {n}"] / times["argsort"],
                    "rule_of_argsort": times[f"rule {n}"] / times["argsort"],
                    "limit": COST,
                    "below_line": max(_below(*pair, n) for pair in pairs),
                    "below_limit": BELOW,
                }
            )
    return rows


def _times(pair: tuple[Law, Law], lengths: tuple[int, ...], repeats: int) -> dict[str, float]:
    """Milliseconds of the bound, and of law and draw for the n tokens of smallest p/q."""
    p, q = pair
    calls: dict[str, Call] = {"argsort": bind(jax.jit(jnp.argsort), p)}
    for n in lengths:
        bound = functools.partial(bounds.front, n=n, scheme="iid", price=PRICE)
        calls[f"bound {n}"] = bind(jax.jit(bound), p, q)
        tokens = jnp.argsort(p / q)[:n]
        half = jnp.full(2, 0.5, jnp.float32)
        rule = rules.Front(PRICE)
        calls[f"rule {n}"] = bind(verify, rule, tokens, p, q, jnp.ones(n, bool), half)
    return medians(calls, repeats, f"fronts, V = {len(p)}")


@functools.partial(jax.jit, static_argnames="n")
def _solved(p: Law, q: Law, n: int) -> tuple[Law, Scalar]:
    """What the rule emits, and what it accepts."""
    rule = rules.Front(PRICE)
    solved = rule.solve(p, q, n, jnp.asarray(n))
    return solved.law, rule.accepted(solved)


def _below(p: Law, q: Law, n: int) -> float:
    """How far the rule is below the line at the TV of the law that it emits, in float64."""
    law, accepted = _solved(p, q, n)
    problem = Problem(_whole(p), _whole(q), n, "iid")
    tv = np.abs(_whole(law) - problem.p).sum() / 2
    return front.line(problem, tv) - float(accepted)


def _whole(law: Law) -> Float[np.ndarray, " V"]:
    wide = np.asarray(law, np.float64)
    return wide / wide.sum()


def table(rows: list[Row]) -> Table:
    """One line per V and n."""
    heads = ("V", "n", "bound, x one argsort", "rule, x one argsort", "limit", "below", "limit")
    lines = [
        (
            str(row["vocabulary"]),
            str(row["n"]),
            f"{row['bound_of_argsort']:.2f}",
            against(row["rule_of_argsort"], row["limit"], ".2f"),
            stated(row["limit"]),
            against(row["below_line"], row["below_limit"], ".1e"),
            stated(row["below_limit"]),
        )
        for row in rows
    ]
    return figures(f"the front at price {PRICE}, and how far its rule is below it", heads, lines, 0)
