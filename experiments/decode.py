"""Decode a text speculatively, with the accepted drafts marked, and what was accepted at each
step.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Annotated, TypedDict

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.text import Text

from experiments.audits import file_audit
from experiments.cli import seeds
from experiments.cli.console import say
from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.cli.tables import Table, number
from experiments.decoding import sequoia
from experiments.inputs import named_verifiers, sampling_options, scheme_choice, stop_strings
from experiments.inputs.penalty_options import PenaltyOptions, penalised
from experiments.inputs.sampling_options import PairSamplingOptions
from experiments.inputs.stop_strings import Span, Step
from specjax import decode
from specjax.decode import Decoded, StepInfo
from specjax.models import Pair, pairs
from specjax.trees import growth
from specjax.verifiers import node_report

ACCEPTED, CHOSEN = "green", "bold"


@dataclasses.dataclass(frozen=True)
class Config(PenaltyOptions, PairSamplingOptions):
    """What to decode, and how.

    Attributes:
      text: the prompt.
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`.
      rule: name of a rule or verifier (block, traversal), or path of a Python file.
      scheme: drafting scheme; the first that the proof covers if none is named.
      tree: draft tree: chain:D, star:N, full:b1,b2,.., delayed:S,K,L (a stem of S drafts, then K
        branches of L), sequoia:N (N drafts, best by the acceptance measured on the pair), or grown
        while drafting: paths:KxD, beam:WxD, best_first:NxWxD, .., or by a file: my_tree.py:KxD.
      tokens: how many to emit at the most.
      stop: the text ends before the first of these strings; what was emitted to complete it is
        counted.
      seed: of all random streams.
    """

    text: Annotated[str, tyro.conf.Positional]
    pair: str = "bytes"
    rule: str = "kseq"
    scheme: str | None = None
    tree: str = "full:3,2,1"
    tokens: int = 120
    stop: tuple[str, ...] = ()
    seed: int = 0


class Content(TypedDict):
    """The decoded text, and how it came about.

    Attributes:
      accepted: whether a token was an accepted draft.
      spans: runs of tokens of one origin.
      audit: what the audit says of a rule's file; None for a rule by name.
      status: why the decode ended early; empty if it did not.
    """

    prompt: str
    tokens: list[int]
    accepted: list[bool]
    spans: list[Span]
    rule: str
    audit: str | None
    refuted: list[str]
    scheme: str
    block_efficiency: float
    steps: list[Step]
    status: str
    provenance: Record


def run(config: Config) -> Content:
    """The text, which of its tokens were accepted drafts, and one record per step.

    Raises:
      ValueError: an empty text or stop string, a budget below 1, or a pair, rule, scheme or tree
        that cannot be used.
    """
    if "" in config.stop:
        raise ValueError("stop: expected strings that are not empty")
    if not config.text or config.tokens < 1:
        raise ValueError("expected a text to continue and tokens >= 1")
    named = named_verifiers.made(config.rule)
    sampling = sampling_options.of_pair(config)
    pair = _pair(config) if sequoia.check((config.tree,)) else None
    name = sequoia.resolved((config.tree,), pair, sampling, config.seed)[0] if pair else config.tree
    scheme = config.scheme or scheme_choice.taken(named, name)
    tree = growth.parse(name, scheme)
    try:
        verifier = decode.verifier(named, tree.scheme, tree.topology)
    except ValueError as error:
        raise ValueError(
            str(error) if config.scheme else scheme_choice.refusal(named, (name,))
        ) from error
    pair = pair or _pair(config)
    audits = file_audit.findings([config.rule])
    decoder = decode.decoder(pair, tree, scheme, *sampling, decode.evidence(verifier))
    (tokens,) = decode.encoded(pair, [config.text], config.tokens)
    prompts, lengths = decode.padded([tokens])
    params = decode.Params(pair.target_params, pair.draft_params)
    decoded = decode.decode(
        decoder,
        verifier,
        seeds.key(config.seed),
        params,
        prompts[0],
        lengths[0],
        config.tokens,
        node_report,
    )
    emitted = np.asarray(decoded.tokens)[len(tokens) : int(decoded.length)].tolist()
    emitted, tail = stop_strings.cut(emitted, config.stop, pair.tokenizer.decode)
    steps = stop_strings.steps(_steps(decoded), len(emitted))
    accepted = [i < step["accepted"] for step in steps for i in range(step["emitted"])]
    return {
        "prompt": config.text,
        "tokens": emitted,
        "accepted": accepted,
        "spans": stop_strings.spans(_spans(emitted, accepted, pair.tokenizer.decode), tail),
        "rule": named.name,
        "audit": audits[named.name].words if audits else None,
        "refuted": file_audit.refuted(audits),
        "scheme": scheme,
        "block_efficiency": float(np.mean([step["emitted"] for step in steps])),
        "steps": steps,
        "status": decode.STATUS[int(decoded.status)],
        "provenance": provenance(config),
    }


def _pair(config: Config) -> Pair:
    return penalised(pairs.load(config.pair), config)


def _steps(decoded: Decoded) -> list[Step]:
    """One record per target call; a row per depth of its walk at which something was proposed."""
    info = jax.tree.map(np.asarray, decoded.info)
    return [_step(info, turn) for turn in range(int(decoded.steps))]


def _step(info: StepInfo, turn: int) -> Step:
    depths = np.flatnonzero(info.record.proposed[turn])
    nodes = jax.tree.map(lambda rows: rows[turn, depths].tolist(), info.record)
    return {
        "emitted": int(info.emitted[turn]),
        "accepted": int(info.accepted[turn]),
        "proposed": nodes.proposed,
        "hit": nodes.hit,
        "law_mass": nodes.law_mass,
        "expected": nodes.expected,
        "alpha_star": nodes.alpha_star,
        "gap": nodes.gap,
    }


def _spans(
    tokens: list[int], accepted: list[bool], to_text: Callable[[list[int]], str]
) -> list[Span]:
    """Runs of tokens of one origin, so that characters of several tokens stay
    whole where they can.
    """
    starts = [i for i in range(len(tokens)) if i == 0 or accepted[i] != accepted[i - 1]]
    return [
        (to_text(tokens[a:b]), accepted[a]) for a, b in itertools.pairwise([*starts, len(tokens)])
    ]


def show(content: Content, console: Console) -> None:
    """The text, accepted drafts in green (in brackets where there is no colour); then acceptance by
    depth.
    """
    text = Text(content["prompt"], style="dim")
    for span, accepted in content["spans"]:
        if console.is_terminal:
            text.append(span, ACCEPTED if accepted else CHOSEN)
        else:
            text.append(f"[{span}]" if accepted else span)
    console.print(text, soft_wrap=True)
    if any(step["proposed"] for step in content["steps"]):
        console.print(_by_depth(content))
    if content["audit"] not in (None, "ok"):
        console.print(f"{content['rule']}: {content['audit']}", style="bold red", markup=False)
    drafts = sum(content["accepted"])
    console.print(
        f"{content['rule']} under {content['scheme']}: {len(content['tokens'])} tokens, {drafts} "
        "of them accepted drafts, in "
        f"{len(content['steps'])} target calls, {content['block_efficiency']:.3f} tokens per call. "
        "Accepted drafts by call: " + " ".join(str(step["accepted"]) for step in content["steps"]),
        highlight=False,
    )


def status(content: Content) -> int:
    """2, and a line, where a model gave no law; the text up to there stands. 1 if the rule's file
    is not what it claims.
    """
    if content["status"]:
        say(f"error: {content['status']}: the text ends after {len(content['tokens'])} tokens")
        return 2
    return int(bool(content["refuted"]))


def _by_depth(content: Content) -> Table:
    table = Table(("depth", "visited", "accepted", "law mass", "expected", "alpha*"))
    deepest = max(len(step["proposed"]) for step in content["steps"])
    for depth in range(deepest):
        rows = [step for step in content["steps"] if len(step["proposed"]) > depth]
        seen = [
            (
                row["hit"][depth],
                row["law_mass"][depth],
                row["expected"][depth],
                row["alpha_star"][depth],
            )
            for row in rows
        ]
        means = map(np.mean, zip(*seen, strict=True))
        table.add(str(depth + 1), str(len(rows)), *(number(float(mean), 3) for mean in means))
    return table
