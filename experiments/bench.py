"""Time of node verification (law and draw) at a large vocabulary, as a multiple of one pass over it in the same run."""

import dataclasses
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments._console import track
from experiments._provenance import provenance
from specjax import rules
from specjax._types import Law, Mask, Rule, Scalar, Tokens
from specjax.numerics import draw

LIMITS = {"recursive_rejection": 10.0, "recursive_rejection_without_replacement": 13.0, "kseq": 18.0}  # multiples of one pass
BATCH, BATCH_LIMIT = 8, 8.0


@dataclasses.dataclass(frozen=True)
class Config:
    """What to time.

    Attributes:
      vocabulary: V of the log-normal pair.
      n: drafts, the n tokens of smallest p/q: all are rejected.
      repeats: interleaved rounds; the medians over them are compared.
      seed: of the pair of laws.
    """

    vocabulary: int = 131072
    n: int = 8
    repeats: int = 41
    seed: int = 0


def run(config: Config) -> dict:
    """Medians in milliseconds, multiples of one fused pass sum(max(p - q, 0)), and the cost of a batch by vmap."""
    rng = np.random.default_rng(config.seed)
    logits = rng.normal(0, 3, (BATCH, config.vocabulary))
    p, q = (jax.nn.softmax(jnp.asarray(x, jnp.float32)) for x in (logits, logits + rng.normal(0, 1, logits.shape)))
    tokens = jnp.argsort(p / q, -1)[:, : config.n]
    mask, u = jnp.ones((BATCH, config.n), bool), jnp.linspace(0.1, 0.9, BATCH, dtype=jnp.float32)
    batch = (tokens, p, q, mask, u)
    one = jax.tree.map(lambda x: x[0], batch)
    calls: dict[str, Callable[[], jax.Array]] = {"pass": _bind(jax.jit(lambda p, q: jnp.sum(jnp.maximum(p - q, 0))), p[0], q[0])}
    for rule in _rules(config.n):
        verify = _verification(rule)
        calls[rule.name] = _bind(jax.jit(verify), *one)
        calls[f"{rule.name} x{BATCH}"] = _bind(jax.jit(jax.vmap(verify)), *batch)
    times = _medians(calls, config.repeats)
    rows = [_row(rule.name, times, config) for rule in _rules(config.n)]
    return {"pass_ms": times["pass"], "rows": rows, "provenance": provenance(config)}


def _rules(n: int) -> list[Rule]:
    classes: list[type[Rule]] = [rules.get(name) for name in rules.names()]
    return [cls() for cls in classes if not cls.claims.per_pair and cls.claims.admits(n)]


def _verification(rule: Rule) -> Callable[[Tokens, Law, Law, Mask, Scalar], tuple[Law, Scalar]]:
    def verify(tokens: Tokens, p: Law, q: Law, mask: Mask, u: Scalar) -> tuple[Law, Scalar]:
        law = rule.law(tokens, p, q, mask)
        return law, draw(law, u)

    return verify


def _bind(function: Callable[..., jax.Array], *arguments: jax.Array) -> Callable[[], jax.Array]:
    return lambda: function(*arguments)


def _medians(calls: dict[str, Callable[[], jax.Array]], repeats: int) -> dict[str, float]:
    """Milliseconds per call, the calls taking turns; short ones are repeated to 2 ms a turn."""
    turns = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        turns[name] = max(1, min(20, int(2e-3 / _seconds(call, 1))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(repeats), "rounds"):
        for name, call in calls.items():
            times[name].append(1e3 * _seconds(call, turns[name]))
    return {name: float(np.median(t)) for name, t in times.items()}


def _seconds(call: Callable[[], jax.Array], turns: int) -> float:
    start = time.perf_counter()
    for _ in range(turns):
        jax.block_until_ready(call())
    return (time.perf_counter() - start) / turns


def _row(rule: str, times: dict[str, float], config: Config) -> dict:
    one, batch = times[rule], times[f"{rule} x{BATCH}"]
    return {
        "rule": rule,
        "vocabulary": config.vocabulary,
        "n": config.n,
        "milliseconds": one,
        "multiple_of_pass": one / times["pass"],
        "limit": LIMITS.get(rule),
        "batch_multiple": batch / one,
        "batch_limit": BATCH_LIMIT,
    }


def show(content: dict, console: Console) -> None:
    """The table; a multiple beyond its limit is marked."""
    rows = content["rows"]
    table = Table(title=f"one node, V = {rows[0]['vocabulary']}, n = {rows[0]['n']}, all rejected; one pass {content['pass_ms']:.4f} ms")
    for name in ("rule", "ms", "x one pass", "limit", f"batch of {BATCH} / one", "limit"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for row in rows:
        table.add_row(
            row["rule"],
            f"{row['milliseconds']:.3f}",
            _against(row["multiple_of_pass"], row["limit"]),
            "-" if row["limit"] is None else f"{row['limit']:g}",
            _against(row["batch_multiple"], row["batch_limit"]),
            f"{row['batch_limit']:g}",
        )
    console.print(table)


def _against(value: float, limit: float | None) -> str:
    return f"{value:.2f}" if limit is None or value <= limit else f"[bold red]{value:.2f}[/]"
