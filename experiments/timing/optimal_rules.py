"""The rules that certify what they reach: cost as a multiple of one argsort, and what their
certificates say.
"""

import functools
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.cli.tables import Table
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import Laws, log_normal, smollm2, zipf
from experiments.timing.nodes import verify
from experiments.timing.optima import LARGE, SMALL
from specjax import rules
from specjax._types import Certificate, Rule

# multiples of one argsort, by scheme
COST = {"iid": {SMALL: 3.0, LARGE: 1.5}, "without_replacement": {SMALL: 4.0, LARGE: 4.0}}
GAP, BIAS = 1e-5, 5e-6
SYNTHETIC = {"log-normal": log_normal, "zipf": zipf}


class Row(TypedDict):
    """The time of one rule on a pair of laws, and what it certifies."""

    rule: str
    pair: str
    contexts: int
    vocabulary: int
    n: int
    multiple_of_argsort: float | None
    limit: float | None
    alpha_star: float
    gap: float
    gap_limit: float
    tv_bound: float
    tv_limit: float
    solved: int


def run(
    vocabularies: tuple[int, ...], lengths: tuple[int, ...], repeats: int, seed: int
) -> list[Row]:
    """One row per rule, pair, V and n; real contexts (V = 49152) where their weights are installed,
    without a time.
    """
    rows: list[Row] = []
    chosen = [(rule, n) for rule in _rules() for n in lengths if rule.claims.admits(n)]
    for vocabulary in vocabularies if chosen else ():
        pairs = {name: make(vocabulary, seed, 1) for name, make in SYNTHETIC.items()}
        times = _times(chosen, pairs, repeats)
        rows += [
            _row(rule, n, name, laws, times[f"{rule.name} {n} {name}"] / times["argsort"])
            for rule, n in chosen
            for name, laws in pairs.items()
        ]
    real = smollm2() if chosen else None
    return rows + [_row(rule, n, "smollm2", real, None) for rule, n in chosen if real]


def _rules() -> list[Rule]:
    return [make() for make in rules.all() if make.claims.lossless and hasattr(make, "certificate")]


def _times(
    chosen: list[tuple[Rule, int]], pairs: dict[str, Laws], repeats: int
) -> dict[str, float]:
    """Milliseconds of law and draw, for drafts that are the n tokens of smallest p/q."""
    calls: dict[str, Call] = {"argsort": bind(jax.jit(jnp.argsort), pairs["log-normal"][0][0])}
    for rule, n in chosen:
        for name, (p, q) in pairs.items():
            tokens = jnp.argsort(p[0] / q[0])[:n]
            calls[f"{rule.name} {n} {name}"] = bind(
                verify, rule, tokens, p[0], q[0], jnp.ones(n, bool), jnp.full(2, 0.5, jnp.float32)
            )
    return medians(calls, repeats, f"optimal rules, V = {pairs['zipf'][0].shape[1]}")


@functools.partial(jax.jit, static_argnames="n")
def _certificates(
    rule: Rule, p: Float[Array, "T V"], q: Float[Array, "T V"], n: int
) -> Certificate:
    scheme = min(rule.claims.drafting)
    made: Certificate = jax.lax.map(
        lambda pair: rules.certificate(rule, pair[0], pair[1], n, scheme), (p, q)
    )
    return made


def _row(
    rule: Rule,
    n: int,
    name: str,
    laws: Laws,
    multiple: float | None,
) -> Row:
    vocabulary = laws[0].shape[1]
    scheme = min(rule.claims.drafting)
    made = jax.tree.map(np.asarray, _certificates(rule, *laws, n))
    return {
        "rule": rule.name,
        "pair": name,
        "contexts": len(laws[0]),
        "vocabulary": vocabulary,
        "n": n,
        "multiple_of_argsort": multiple,
        "limit": None if multiple is None else COST.get(scheme, {}).get(vocabulary),
        "alpha_star": float(made.alpha_star.mean()),
        "gap": float(made.gap.max()),
        "gap_limit": GAP,
        "tv_bound": float(made.tv_bound.max()),
        "tv_limit": BIAS,
        "solved": int(made.converged.sum()),
    }


def table(rows: list[Row]) -> Table:
    """One line per rule, pair, V and n; the largest gap and bound over the contexts."""
    heads = (
        "rule",
        "pair",
        "V",
        "n",
        "x one argsort",
        "limit",
        "gap",
        "limit",
        "TV to p",
        "limit",
        "solved",
    )
    lines = [
        (
            row["rule"],
            row["pair"],
            str(row["vocabulary"]),
            str(row["n"]),
            against(row["multiple_of_argsort"], row["limit"], ".2f"),
            stated(row["limit"]),
            against(row["gap"], row["gap_limit"], ".1e"),
            stated(row["gap_limit"]),
            against(row["tv_bound"], row["tv_limit"], ".1e"),
            stated(row["tv_limit"]),
            f"{row['solved']}/{row['contexts']}",
        )
        for row in rows
    ]
    return figures(
        "rules that certify what they reach: law and draw, largest gap to alpha* and bound on the "
        "bias",
        heads,
        lines,
        2,
    )
