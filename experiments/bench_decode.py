"""Decoding of SmolLM2 here and by transformers, with the same weights, in turns: plain,
speculative, in a batch, with the best and the worst draft.
"""

import collections
import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from rich.console import Console

import theory
from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.timing import forwards
from experiments.timing.clock import Call, seconds
from experiments.timing.clock import table as figures
from specjax import decode
from specjax.decode import Decoded
from specjax.models import Pair
from specjax.models import texts as carried
from specjax.models.derived import subset
from specjax.models.pairs import smollm2
from specjax.models.transformer import Transformer
from specjax.numerics import Sampling
from specjax.rules import Single
from specjax.trees import chain

if TYPE_CHECKING:  # packages that no other command needs
    from experiments.timing.peer import Peer
    from specjax.models._tokenizers import FastTokenizer

BATCH = 8
PROMPTS = 3
# a draft model is some of the target's layers
ALL_BUT_ONE, FIRST, SAME = "29 of 30 layers", "1 of 30 layers", "all 30 layers"
LAYERS = {ALL_BUT_ONE: 29, FIRST: 1, SAME: 30}
DRAFTED = ((ALL_BUT_ONE, 1), (ALL_BUT_ONE, 4), (SAME, 4), (FIRST, 4))
PLAIN = 1.25  # times the reading of the weights, at the most
FASTER = {(ALL_BUT_ONE, 1): 1.15, (ALL_BUT_ONE, 4): 1.05}  # times the peer's speed, at the least
OF_PREDICTION = 0.9  # of the speed that c(T) predicts where every draft is accepted, at the least


@dataclasses.dataclass(frozen=True)
class Config:
    """What to time.

    Attributes:
      tokens: how many each decode emits.
      repeats: rounds, in each of which everything is timed once for each prompt.
    """

    tokens: int = 64
    repeats: int = 5


class Row(TypedDict):
    """One way to decode; times are quartiles over rounds, in milliseconds a token.

    Attributes:
      faster: the median over rounds of the peer's time over ours.
      limit: the least that it should be.
      equal: for how many prompts both say the same text.
      parts_at: the largest difference of the target's two best logits where texts part.
    """

    what: str
    ours: list[float]
    peer: list[float]
    faster: float
    limit: float | None
    tokens_per_call: float
    peer_tokens_per_call: float
    equal: int
    parts_at: float | None


class Content(TypedDict):
    """The rows, and what they are held against.

    Attributes:
      read_ms: quartiles of the time of reading all weights of the target once.
      plain_over_read: the median over rounds of plain decoding a token over that.
      predicted_ms: of a step whose four drafts are all accepted, by c(T) of this run, with its
        share of reading the prompt by both models.
      of_prediction: the speed of that step over the predicted one.
      batch_gain: the median over rounds of the time of single decodes over that of one batch.
      load: of the machine before and after.
    """

    read_ms: list[float]
    plain_over_read: float
    predicted_ms: float
    of_prediction: float
    batch_gain: float
    prompts: int
    load: list[float]
    rows: list[Row]
    provenance: Record


class _Way(NamedTuple):
    """One way to decode a prompt, here and by the peer."""

    what: str
    drafts: tuple[str, int] | None
    ours: Callable[[int], Decoded]
    peer: Callable[[int], list[int]]


def run(config: Config) -> Content:
    """The times of both, in turns.

    Raises:
      ValueError: no token or repeat; the weights are not installed.
    """
    if min(config.tokens, config.repeats) < 1:
        raise ValueError("expected tokens >= 1 and repeats >= 1")
    base = _base()
    texts = [base.tokenizer.encode(text) for text in carried.PROMPTS[:BATCH]]
    load = [os.getloadavg()[0]]
    peer = _peer(base)
    ways = [_way(base, peer, texts, config.tokens, None)]
    ways += [_way(base, peer, texts, config.tokens, drafts) for drafts in DRAFTED]
    batch = _batch(base, texts, config.tokens)
    calls = {count: forwards.call(base.model, base.params, count) for count in (1, 2, 5)}
    prompts, lengths = decode.padded(texts[:1])
    prefill = forwards.prefill_call(base.model, base.params, prompts[0], lengths[0])
    read = forwards.read_call(base.params)
    first = [_seen(way, peer) for way in ways]  # compiles, too
    for call in (read, batch, prefill, *calls.values()):
        jax.block_until_ready(call())
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in track(range(config.repeats), "rounds of decodes"):
        times["read"].append(_milliseconds(read))
        times["prefill"].append(_milliseconds(prefill))
        for count, call in calls.items():
            times[f"c({count})"].append(_milliseconds(call) / forwards.STEPS)
        times["batch"].append(_milliseconds(batch) / len(texts))
        times["singles"].append(_spent(ways[0].ours, range(len(texts))) / len(texts))
        for way in ways:
            times[f"{way.what}, ours"].append(_spent(way.ours, range(PROMPTS)) / PROMPTS)
            times[f"{way.what}, peer"].append(_spent(way.peer, range(PROMPTS)) / PROMPTS)
    rounds = {name: np.array(held) for name, held in times.items()}
    rows = [
        _row(way, seen, base, texts, rounds, config.tokens)
        for way, seen in zip(ways, first, strict=True)
    ]
    same = next(i for i, way in enumerate(ways) if way.drafts == (SAME, 4))
    steps = config.tokens / rows[same]["tokens_per_call"]
    middle = {name: float(np.median(held)) for name, held in rounds.items()}
    cost = functools.partial(_cost, middle)
    predicted = theory.speed.step(cost, cost, (1,) * 5, 5) + 2 * middle["prefill"] / steps
    taken = float(np.median(rounds[f"{ways[same].what}, ours"])) / steps
    plain = rounds[f"{ways[0].what}, ours"] / config.tokens
    return {
        "read_ms": _quartiles(rounds["read"]),
        "plain_over_read": float(np.median(plain / rounds["read"])),
        "predicted_ms": predicted,
        "of_prediction": predicted / taken,
        "batch_gain": float(np.median(rounds["singles"] / rounds["batch"])),
        "prompts": PROMPTS,
        "load": [*load, os.getloadavg()[0]],
        "rows": rows,
        "provenance": provenance(config),
    }


class _Base(NamedTuple):
    """The target."""

    model: Transformer
    params: PyTree
    tokenizer: "FastTokenizer"


def _base() -> _Base:
    """SmolLM2, out of the installed package."""
    file = smollm2.weights_file()
    from specjax.models import gguf_file  # needs packages that only these weights need

    held = gguf_file.load(file)
    assert isinstance(held.model, Transformer)  # no draft's head
    return _Base(held.model, held.params, held.tokenizer)


def _cost(milliseconds: dict[str, float], count: int) -> float:
    """c(T) of the target."""
    return milliseconds[f"c({count})"]


def _peer(base: _Base) -> "Peer":
    """The peer, with the same weights: the folders that it reads are written for it."""
    from experiments.timing.peer import Peer
    from specjax.models import written_folder

    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / str(layers) for name, layers in LAYERS.items()}
        for name, path in paths.items():
            path.mkdir()
            model, params = _layers(base, name)
            written_folder.write(path, model.config, params, base.tokenizer)
        return Peer(paths[SAME], paths)


def _layers(base: _Base, name: str) -> tuple[Transformer, PyTree]:
    return subset(base.model, base.params, tuple(range(LAYERS[name])))


def _params(base: _Base, draft: str) -> decode.Params:
    return decode.Params(base.params, _layers(base, draft)[1])


def _way(
    base: _Base,
    peer: "Peer",
    texts: list[list[int]],
    tokens: int,
    drafts: tuple[str, int] | None,
) -> _Way:
    """Greedy decoding, plain or with so many drafts of a draft model."""
    one, depth = drafts or (SAME, 0)
    run = _decoder(base, one, depth, tokens)
    params = _params(base, one)
    padded = [decode.padded([text]) for text in texts]

    def ours(index: int) -> Decoded:
        prompts, lengths = padded[index]
        found: Decoded = jax.block_until_ready(run(prompts[0], lengths[0], params))
        return found

    return _Way(
        f"{one}, {depth} draft{'s' * (depth > 1)}" if drafts else "plain",
        drafts,
        ours,
        lambda index: peer.decode(texts[index], tokens, drafts and one, depth),
    )


def _decoder(
    base: _Base, draft: str, depth: int, tokens: int
) -> Callable[[Array, Array, decode.Params], Decoded]:
    """The decode of a prompt by a chain, a function of the weights."""
    layers = _layers(base, draft)
    pair = Pair(base.model, base.params, *layers, base.tokenizer, -1, ())
    decoder = decode.decoder(pair, chain(depth), "iid", Sampling(temperature=0))
    verifier = decode.verifier(Single(), "iid", chain(depth))
    return lambda prompt, length, params: decode.decode(
        decoder, verifier, seeds.key(0), params, prompt, length, tokens
    )


def _batch(base: _Base, texts: list[list[int]], tokens: int) -> Callable[[], Decoded]:
    """All prompts at once, plain."""
    run = jax.jit(jax.vmap(_decoder(base, SAME, 0, tokens), (0, 0, None)))
    prompts, lengths = decode.padded(texts)
    params = _params(base, SAME)
    return lambda: run(prompts, lengths, params)


def _milliseconds(call: Call) -> float:
    return 1e3 * seconds(call, 1)


def _spent(call: Callable[[int], PyTree], prompts: range) -> float:
    """Milliseconds for all prompts."""
    return _milliseconds(lambda: [call(index) for index in prompts])


class _Seen(NamedTuple):
    """What both said of each prompt, and in how many calls of the target."""

    ours: list[list[int]]
    peer: list[list[int]]
    steps: int
    peer_calls: int


def _seen(way: _Way, peer: "Peer") -> _Seen:
    found = [way.ours(index) for index in range(PROMPTS)]
    said = []
    calls = 0
    for index in range(PROMPTS):
        said.append(way.peer(index))
        calls += peer.calls
    ours = [np.asarray(one.tokens)[: int(one.length)].tolist() for one in found]
    return _Seen(ours, said, sum(int(one.steps) for one in found), calls)


def _row(
    way: _Way,
    seen: _Seen,
    base: _Base,
    texts: list[list[int]],
    rounds: dict[str, np.ndarray],
    tokens: int,
) -> Row:
    ours, peer = rounds[f"{way.what}, ours"], rounds[f"{way.what}, peer"]
    whole = [text + said for text, said in zip(texts, seen.peer, strict=False)]
    gaps = [_gap(base, *both) for both in zip(seen.ours, whole, strict=True) if both[0] != both[1]]
    return {
        "what": way.what,
        "ours": _quartiles(ours / tokens),
        "peer": _quartiles(peer / tokens),
        "faster": float(np.median(peer / ours)),
        "limit": FASTER.get(way.drafts) if way.drafts else None,
        "tokens_per_call": tokens * PROMPTS / seen.steps,
        "peer_tokens_per_call": tokens * PROMPTS / seen.peer_calls,
        "equal": PROMPTS - len(gaps),
        "parts_at": max(gaps, default=None),
    }


def _gap(base: _Base, ours: list[int], theirs: list[int]) -> float:
    """How far the target's two best logits are apart where two texts part."""
    place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    logits = base.model.forward(base.params, jnp.array([ours[:place]]))[0, -1]
    best = jax.lax.top_k(logits, 2)[0]
    return float(best[0] - best[1])


def _quartiles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.percentile(values, (25, 50, 75))]


def show(content: Content, console: Console) -> None:
    """One line per way, with what it is held against."""
    lines = [
        (
            row["what"],
            _spread(row["ours"]),
            _spread(row["peer"]),
            _marked(row["faster"], row["limit"]),
            "-" if row["limit"] is None else f"{row['limit']:g}",
            f"{row['tokens_per_call']:.2f}",
            f"{row['peer_tokens_per_call']:.2f}",
            f"{row['equal']} of {content['prompts']}"
            + ("" if row["parts_at"] is None else f", tie {row['parts_at']:.1e}"),
        )
        for row in content["rows"]
    ]
    heads = (
        "draft",
        "ms a token",
        "transformers",
        "faster",
        "at least",
        "tokens / call",
        "theirs",
        "equal texts",
    )
    console.print(figures("SmolLM2-135M, float32, greedy: median (quartiles)", heads, lines, 1))
    low, middle, high = content["read_ms"]
    console.print(
        f"Reading the weights once: {middle:.1f} ms ({low:.1f} to {high:.1f}). Plain decoding "
        f"takes {content['plain_over_read']:.2f} times that (at most {PLAIN:g}).\n"
        f"Four drafts that are always accepted: {content['of_prediction']:.2f} of the speed that "
        f"c(T) predicts (at least {OF_PREDICTION:g}).\n"
        f"A batch of {BATCH} against {BATCH} single decodes, plain: "
        f"{content['batch_gain']:.2f} times as fast.\n"
        f"Load before and after: {content['load'][0]:.1f}, {content['load'][1]:.1f}.",
        highlight=False,
    )


def _spread(quartiles: list[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.1f} ({low:.1f}, {high:.1f})"


def _marked(value: float, limit: float | None) -> str:
    return f"{value:.2f}" if limit is None or value >= limit else f"[bold red]{value:.2f}[/]"
