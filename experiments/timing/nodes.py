"""Node verification (law and draw) as a multiple of one pass over the vocabulary."""

from typing import TypedDict

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from experiments.cli.tables import Table
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import log_normal
from specjax import rules
from specjax._types import Law, Mask, Rule, Scalar, Tokens
from specjax.numerics import draw

# multiples of one pass
LIMITS = {
    "recursive_rejection": 10.0,
    "recursive_rejection_without_replacement": 13.0,
    "kseq": 18.0,
}
BATCH, BATCH_LIMIT = 8, 8.0


class Row(TypedDict):
    """The times of one rule at one node."""

    rule: str
    vocabulary: int
    n: int
    milliseconds: float
    multiple_of_pass: float
    limit: float | None
    batch_multiple: float
    batch_limit: float


class Nodes(TypedDict):
    """The rows, and the milliseconds of one pass."""

    pass_ms: float
    rows: list[Row]


def run(vocabulary: int, n: int, repeats: int, seed: int) -> Nodes:
    """Medians in milliseconds, multiples of one fused pass sum(max(p - q, 0)), and the cost of a
    batch by vmap.

    The drafts are the n tokens of smallest p/q: all are rejected.
    """
    p, q = log_normal(vocabulary, seed, BATCH)
    tokens = jnp.argsort(p / q, -1)[:, :n]
    mask = jnp.ones((BATCH, n), bool)
    u = jnp.linspace(0.1, 0.9, 2 * BATCH, dtype=jnp.float32).reshape(BATCH, 2)
    several = jnp.repeat(q[:, None], n, 1)
    calls: dict[str, Call] = {
        "pass": bind(jax.jit(lambda p, q: jnp.sum(jnp.maximum(p - q, 0))), p[0], q[0])
    }
    chosen = _rules(n)
    for rule in chosen:
        batch = (
            rule,
            tokens,
            p,
            several if rule.claims.drafting == {"independent"} else q,
            mask,
            u,
        )
        calls[rule.name] = bind(verify, rule, *(x[0] for x in batch[1:]))
        calls[f"{rule.name} x{BATCH}"] = bind(_verify_batch, *batch)
    times = medians(calls, repeats, "rules")
    return {
        "pass_ms": times["pass"],
        "rows": [_row(rule.name, times, vocabulary, n) for rule in chosen],
    }


def _rules(n: int) -> list[Rule]:
    makes = [make for make in rules.all() if make.claims.lossless and not make.claims.per_pair]
    return [make() for make in makes if make.claims.admits(n)]


@jax.jit
def verify(
    rule: Rule,
    tokens: Tokens,
    p: Law,
    q: Float[Array, "*slots V"],
    mask: Mask,
    u: Float[Array, " 2"],
) -> tuple[Law, Scalar]:
    """The law of the emitted token, and the token that u draws from it."""
    law = rule.law(tokens, p, q, mask)
    return law, draw(law, u)


_verify_batch = jax.jit(jax.vmap(verify, (None, 0, 0, 0, 0, 0)))


def _row(rule: str, times: dict[str, float], vocabulary: int, n: int) -> Row:
    one = times[rule]
    batch = times[f"{rule} x{BATCH}"]
    return {
        "rule": rule,
        "vocabulary": vocabulary,
        "n": n,
        "milliseconds": one,
        "multiple_of_pass": one / times["pass"],
        "limit": LIMITS.get(rule),
        "batch_multiple": batch / one,
        "batch_limit": BATCH_LIMIT,
    }


def table(rows: list[Row], pass_ms: float) -> Table:
    """One line per rule."""
    heads = ("rule", "ms", "x one pass", "limit", f"batch of {BATCH} / one", "limit")
    lines = [
        (
            row["rule"],
            f"{row['milliseconds']:.3f}",
            against(row["multiple_of_pass"], row["limit"], ".2f"),
            stated(row["limit"]),
            against(row["batch_multiple"], row["batch_limit"], ".2f"),
            stated(row["batch_limit"]),
        )
        for row in rows
    ]
    return figures(
        f"one node, V = {rows[0]['vocabulary']}, n = {rows[0]['n']}, all rejected; one pass "
        f"{pass_ms:.4f} ms",
        heads,
        lines,
        1,
    )
