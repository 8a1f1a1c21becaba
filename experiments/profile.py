"""What a decode's forwards and the rest of its step cost here, and the speed that follows for every
rule and tree, beside the measured one.
"""

import dataclasses
import os
from collections.abc import Iterable
from typing import TypedDict

import numpy as np
from jaxtyping import Array
from rich.console import Console

import theory
from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.decoding.paired import check_status
from experiments.decoding.programs import programs
from experiments.inputs import sampling_options
from experiments.inputs.sampling_options import SamplingOptions
from experiments.timing import forwards, overhead
from experiments.timing.clock import Call, bind, medians
from experiments.timing.clock import table as figures
from specjax import decode
from specjax.models import Pair, pairs
from specjax.rules import Rule, Single
from specjax.trees import TreeDrafting, growth
from specjax.verifiers import Verifier, node_report
from theory.speed import CostCurve

LEAST = 64  # c(T) is measured up to this, or the largest tree


@dataclasses.dataclass(frozen=True)
class Config(SamplingOptions):
    """What to time.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), or a Python file with
        `load() -> Pair`.
      rules: rules and verifiers, each on every tree that it fits.
      tree: draft trees.
      tokens: how many each decode emits.
      repeats: interleaved rounds; the medians over them are compared.
      seed: of the decodes.
    """

    pair: str = "bytes"
    rules: tuple[str, ...] = ("single", "kseq")
    tree: tuple[str, ...] = ("chain:1", "chain:4", "star:4", "full:2,2")
    tokens: int = 64
    repeats: int = 5
    seed: int = 0


class Row(TypedDict):
    """One rule on one tree.

    Attributes:
      tokens_per_call: of the timed decode.
      step_ms: measured, a target call with all that belongs to it.
      predicted_ms: its forwards by c(T), what a decode of this rule and tree costs without
        forwards if every draft is accepted, and a share of reading the prompt by both models.
      beside_ms: the part of that outside the forwards.
      speedup: over plain decoding, measured; likewise predicted.
      memory_bound: the speed-up if every forward cost what it costs for one token, and nothing but
        forwards took time.
      acceptance: of the timed decode, by depth: accepted drafts over visits.
      shorter: of a chain, the predicted speed-up at each smaller depth, from 1 on.
    """

    rule: str
    scheme: str
    tree: str
    tokens_per_call: float
    step_ms: float
    predicted_ms: float
    beside_ms: float
    tokens_per_second: float
    speedup: float
    predicted_speedup: float
    memory_bound: float
    acceptance: list[float]
    shorter: list[float]


class Content(TypedDict):
    """All that was timed; costs are in milliseconds by the number of tokens."""

    pair: str
    target_ms: dict[str, float]
    draft_ms: dict[str, float]
    read_ms: float
    prefill_ms: dict[str, float]
    plain_ms: float
    load: float
    rows: list[Row]
    provenance: Record


@dataclasses.dataclass(frozen=True)
class _Case:
    """A decode to be timed, with the steps that it takes."""

    rule: str
    scheme: str
    tree: str
    grown: TreeDrafting
    decode: Call
    steps: int
    acceptance: list[float]
    bare: overhead.Bare

    @property
    def name(self) -> str:
        return f"{self.rule} {self.scheme} {self.tree}"


def run(config: Config) -> Content:
    """Costs and speeds.

    Raises:
      ValueError: a pair, rule or tree that cannot be used; no token or repeat; a model gave no law.
    """
    if min(config.tokens, config.repeats) < 1:
        raise ValueError("expected tokens >= 1 and repeats >= 1")
    asked = programs(config.rules, config.tree)
    pair = pairs.load(config.pair)._replace(eos=-1)
    plain = _case(config, pair, Single(), "iid", "none")
    named = [(one, program) for program in asked for one in program.verifiers]
    cases = [
        _case(config, pair, one, program.scheme, program.tree)
        for one, program in track(named, "compiling")
    ]
    counts = _counts(case.grown for case in cases)
    calls = _costs(pair, counts)
    for case in (plain, *cases):
        calls[f"decode {case.name}"] = case.decode
        calls[f"bare {case.name}"] = case.bare.call
    times = medians(calls, config.repeats, "decodes and forwards")
    measured = {model: _measured(model, counts, times) for model in ("target", "draft")}
    costs = {model: forwards.costs(counts, held) for model, held in measured.items()}
    plain_ms = times[f"decode {plain.name}"] / plain.steps
    rows = [_row(case, times, costs, plain_ms, config.tokens) for case in cases]
    return {
        "pair": pair.name,
        "target_ms": dict(zip(map(str, counts), measured["target"], strict=True)),
        "draft_ms": dict(zip(map(str, counts), measured["draft"], strict=True)),
        "read_ms": times["read"],
        "prefill_ms": {model: times[f"{model} prefill"] for model in costs},
        "plain_ms": plain_ms,
        "load": os.getloadavg()[0],
        "rows": rows,
        "provenance": provenance(config),
    }


def _counts(trees: Iterable[TreeDrafting]) -> tuple[int, ...]:
    """Powers of two, up to one that no level and no tree exceeds."""
    largest = max((max(*tree.widths, tree.topology.nodes) for tree in trees), default=1)
    return tuple(1 << i for i in range((max(LEAST, largest) - 1).bit_length() + 1))


def _measured(model: str, counts: tuple[int, ...], times: dict[str, float]) -> list[float]:
    """Milliseconds of a forward of each number of tokens."""
    return [times[f"{model} {count}"] / forwards.STEPS for count in counts]


def _case(
    config: Config,
    pair: Pair,
    one: Rule | Verifier,
    scheme: str,
    tree: str,
) -> _Case:
    sampling = sampling_options.of(config)
    grown = growth.parse(tree, scheme)
    verifier = decode.verifier(one, grown.scheme, grown.topology)
    asked = (
        decode.decoder(pair, grown, scheme, sampling),
        verifier,
        seeds.key(config.seed),
        decode.Params(pair.target_params, pair.draft_params),
        *_prompt(pair, config.tokens),
        config.tokens,
    )
    seen = decode.decode(*asked, node_report)
    check_status(seen.status[None])
    visited = np.asarray(seen.info.record.proposed > 0).sum(0)
    hits = np.asarray(seen.info.record.hit).sum(0)
    return _Case(
        rule=one.name,
        scheme=scheme,
        tree=tree,
        grown=grown,
        decode=bind(decode.decode, *asked),
        steps=int(seen.steps),
        acceptance=(hits[visited > 0] / visited[visited > 0]).tolist(),
        bare=overhead.bare(pair.target.vocabulary, grown, verifier, sampling, config.tokens),
    )


def _costs(pair: Pair, counts: tuple[int, ...]) -> dict[str, Call]:
    """The calls whose times are c(T) of both models, a prefill, and one reading of the weights."""
    models = {
        "target": (pair.target, pair.target_params),
        "draft": (pair.draft, pair.draft_params),
    }
    found = {
        f"{name} {count}": forwards.call(*model, count)
        for name, model in models.items()
        for count in counts
    }
    prompts, lengths = _prompt(pair, 0)
    for name, model in models.items():
        found[f"{name} prefill"] = forwards.prefill_call(*model, prompts, lengths)
    return found | {"read": forwards.read_call(pair.target_params)}


def _prompt(pair: Pair, budget: int) -> tuple[Array, Array]:
    """The pair's first prompt, padded, and its length."""
    prompts, lengths = decode.padded(decode.encoded(pair, pair.prompts[:1], budget))
    return prompts[0], lengths[0]


def _row(
    case: _Case,
    times: dict[str, float],
    costs: dict[str, CostCurve],
    plain_ms: float,
    tokens: int,
) -> Row:
    step_ms = times[f"decode {case.name}"] / case.steps
    beside = times[f"bare {case.name}"] / case.bare.steps
    widths = case.grown.widths
    models = costs["target"], costs["draft"]
    prefill = (times["target prefill"] + times["draft prefill"]) / case.steps
    forward_ms = theory.speed.step(*models, widths, case.grown.topology.nodes)
    predicted = forward_ms + beside + prefill
    per_call = tokens / case.steps
    forward = costs["target"](1) + costs["draft"](1) * (len(widths) - 1)
    return {
        "rule": case.rule,
        "scheme": case.scheme,
        "tree": case.tree,
        "tokens_per_call": per_call,
        "step_ms": step_ms,
        "predicted_ms": predicted,
        "beside_ms": beside,
        "tokens_per_second": 1e3 * per_call / step_ms,
        "speedup": plain_ms * per_call / step_ms,
        "predicted_speedup": plain_ms * per_call / predicted,
        "memory_bound": costs["target"](1) * per_call / forward,
        "acceptance": case.acceptance,
        "shorter": _shorter(case, models, beside, prefill / per_call, plain_ms),
    }


def _shorter(
    case: _Case,
    models: tuple[CostCurve, CostCurve],
    beside: float,
    prefill: float,
    plain_ms: float,
) -> list[float]:
    """The predicted speed-up of the chains that are less deep; none of a tree that branches.

    `prefill` is its milliseconds for each token that is emitted.
    """
    found = []
    for depth in range(1, len(case.acceptance)) if case.grown.topology.width == 1 else ():
        emitted = theory.speed.tokens_by_depth(case.acceptance[:depth])
        forwards_ms = theory.speed.step(*models, (1,) * (depth + 1), depth + 1)
        found.append(plain_ms * emitted / (forwards_ms + beside + prefill * emitted))
    return found


def show(content: Content, console: Console) -> None:
    """The costs, then one line per rule and tree, and which is predicted to be the fastest."""
    counts = [
        (count, f"{target:.2f}", f"{content['draft_ms'][count]:.2f}")
        for count, target in content["target_ms"].items()
    ]
    console.print(
        figures(
            f"forwards of {content['pair']}, by the tokens scored at once",
            ("tokens", "target, ms", "draft, ms"),
            counts,
            0,
        )
    )
    console.print(
        f"Plain decoding: {content['plain_ms']:.2f} ms a token. Reading the target's weights once: "
        f"{content['read_ms']:.2f} ms. Reading the prompt: "
        f"{content['prefill_ms']['target']:.1f} and {content['prefill_ms']['draft']:.1f} ms."
    )
    lines = [
        (
            row["rule"],
            row["tree"],
            f"{row['tokens_per_call']:.2f}",
            f"{row['step_ms']:.1f}",
            f"{row['predicted_ms']:.1f}",
            f"{row['beside_ms']:.2f}",
            f"{row['tokens_per_second']:.1f}",
            f"{row['speedup']:.2f}",
            f"{row['predicted_speedup']:.2f}",
            f"{row['memory_bound']:.2f}",
        )
        for row in content["rows"]
    ]
    heads = (
        "rule",
        "tree",
        "tokens / call",
        "step, ms",
        "by c(T)",
        "beside, ms",
        "tokens / s",
        "speed-up",
        "predicted",
        "memory-bound",
    )
    console.print(figures("speed, measured and predicted from c(T)", heads, lines, 2))
    console.print(_best(content["rows"]), highlight=False)


def _best(rows: list[Row]) -> str:
    """The fastest by prediction, shorter chains included."""
    found = [(row["predicted_speedup"], row["rule"], row["tree"]) for row in rows]
    found += [
        (speed, row["rule"], f"chain:{depth}")
        for row in rows
        for depth, speed in enumerate(row["shorter"], 1)
    ]
    speed, rule, tree = max(found)
    return f"Fastest by prediction: {rule} on {tree}, {speed:.2f} times plain decoding."
