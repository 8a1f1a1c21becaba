"""One decode that measures several verifiers: all verify the same drafts, and the target's own text
or one of them leads.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree
from numpy.typing import NDArray

from experiments.decoding.target_texts import Texts, per_prompt
from specjax import decode
from specjax.decode import Decoder, DecodeState, Params
from specjax.models import Pair
from specjax.trees import NO_NODE, ROOT, Draft, Verdict
from specjax.verifiers import NodeReport, Verifier, Walk, node_reports

STREAM = 0  # who leads: the target's own text, then the verifiers in turn

Recorder = Callable[
    [tuple[Verifier, ...], Draft, Float[Array, "N V"], list[Walk], list[Verdict]], PyTree
]


_Traced = tuple[Int[Array, "..."], Float[Array, "..."], PyTree]  # the fields of `Seen`


class Start(NamedTuple):
    """Where the decodes after B prompts begin.

    Attributes:
      keys: [B].
      params: of both models.
      states: [B].
      said: [B, T], the target's own text; not looked at where a verifier leads.
    """

    keys: Key[Array, " B"]
    params: Params
    states: DecodeState
    said: Int[Array, "B T"]


class Records(NamedTuple):
    """What the verifiers saw; axes: B prompts, T target calls, R verifiers, D depths.

    Attributes:
      ran: [B, T], false once a text has ended.
      emitted: [B, T, R], tokens of each verifier's walk that a text would keep.
      nodes: [B, T, R, D + 1] each.
    """

    ran: NDArray[np.bool_]
    emitted: NDArray[np.int32]
    nodes: NodeReport


class Calls(NamedTuple):
    """Target calls of a decode.

    Attributes:
      ran: [B, T], which were made.
      emitted: [B, T], the tokens that each emitted.
      most: [B, T], the most that a lossless verifier emits there on average, if the tree hangs on
        no draw.
    """

    ran: NDArray[np.bool_]
    emitted: NDArray[np.int32]
    most: NDArray[np.float32]


class Seen(NamedTuple):
    """What a decode saw; axes: B prompts, T target calls, R verifiers.

    Attributes:
      emitted: [B, T, R].
      most: [B, T], as in `Calls`.
      record: what the recorder gave.
    """

    emitted: NDArray[np.int32]
    most: NDArray[np.float32]
    record: PyTree


class Measured(NamedTuple):
    """What all verifiers did at the contexts of the texts, and what each emitted in the decode that
    it led.
    """

    contexts: Records
    led: list[Calls]


def measure(
    decoder: Decoder,
    verifiers: tuple[Verifier, ...],
    key: Key[Array, ""],
    pair: Pair,
    texts: Texts,
    calls: int,
) -> Measured:
    """Every verifier sees one draft at each context of the texts, then leads `calls` target calls
    after each prompt.

    The draft and the uniforms of a position hang on the key, the prompt and the tree: decodes of
    verifiers are paired.

    Raises:
      ValueError: a model gave no law.
    """
    count = texts.said.shape[1]
    begun = start(decoder, pair, key, texts.prompts, texts.lengths, count)._replace(said=texts.said)
    ran, seen = lead(decoder, verifiers, begun, STREAM, count, reports, True)
    led = [
        lead(decoder, verifiers, begun, 1 + index, calls, reports, False)
        for index in range(len(verifiers))
    ]
    return Measured(Records(ran, seen.emitted, seen.record), _calls(led))


def efficiency(
    decoder: Decoder,
    verifiers: tuple[Verifier, ...],
    key: Key[Array, ""],
    pair: Pair,
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    calls: int,
) -> list[Calls]:
    """What each verifier emits in the decode that it leads; all share the first drafts and the
    uniforms of each position.
    """
    begun = start(decoder, pair, key, prompts, lengths, calls)
    led = [
        lead(decoder, verifiers, begun, 1 + index, calls, None, False)
        for index in range(len(verifiers))
    ]
    return _calls(led)


def _calls(led: list[tuple[NDArray[np.bool_], Seen]]) -> list[Calls]:
    """The calls of each verifier in the decode that it led."""
    return [Calls(ran, seen.emitted[:, :, i], seen.most) for i, (ran, seen) in enumerate(led)]


def start(
    decoder: Decoder,
    pair: Pair,
    key: Key[Array, ""],
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    calls: int,
) -> Start:
    """Both models after each prompt, with room for so many target calls."""
    params = Params(pair.target_params, pair.draft_params)
    budget = calls * (decoder.drafter.topology.height + 1)
    states = jax.vmap(functools.partial(decode.init, decoder, params, budget=budget))(
        prompts, lengths
    )
    return Start(
        per_prompt(key, len(lengths)), params, states, jnp.zeros((len(lengths), calls), jnp.int32)
    )


def lead(
    decoder: Decoder,
    verifiers: tuple[Verifier, ...],
    start: Start,
    leader: int,
    calls: int,
    record: Recorder | None,
    recording: bool,
) -> tuple[NDArray[np.bool_], Seen]:
    """A decode that STREAM or a verifier leads: which calls ran [B, T], and what was seen.

    Programs are shared by all leaders, and whether or not it is recorded.

    Raises:
      ValueError: a model gave no law.
    """
    traced = jnp.int32(leader), jnp.int32(calls), jnp.bool_(recording)
    status, made, seen = _run(decoder, record, verifiers, *traced, *start)
    check_status(status)
    ran = np.arange(start.said.shape[1]) < np.asarray(made)[:, None]
    return ran, Seen(*jax.tree.map(np.asarray, seen))


def check_status(status: Int[Array, " B"]) -> None:
    """Refuse what was measured on models that gave no law.

    Raises:
      ValueError: a decode ended with a status.
    """
    bad = np.flatnonzero(np.asarray(status))
    if len(bad):
        raise ValueError(f"{decode.STATUS[int(status[bad[0]])]}, after prompt {bad[0]}")


@functools.partial(jax.jit, static_argnames=("decoder", "record"))
def _run(
    decoder: Decoder,
    record: Recorder | None,
    verifiers: tuple[Verifier, ...],
    leader: Int[Array, ""],
    calls: Int[Array, ""],
    recording: Bool[Array, ""],
    keys: Key[Array, " B"],
    params: Params,
    starts: DecodeState,
    said: Int[Array, "B T"],
) -> tuple[Int[Array, " B"], Int[Array, " B"], _Traced]:
    def one(
        key: Key[Array, ""], start: DecodeState, text: Int[Array, " T"]
    ) -> tuple[Int[Array, ""], Int[Array, ""], _Traced]:
        def step(state: DecodeState) -> tuple[DecodeState, _Traced]:
            proposed = decode.propose(decoder, key, params, state)
            draft, p = proposed.draft, proposed.p
            uniforms = decode.uniforms(key, state, draft)
            walks = [verifier.walk(uniforms, draft, p) for verifier in verifiers]
            kept = [decode.emitted(decoder, proposed.state, walk.verdict) for walk in walks]
            follow = _next(kept[0], text[state.length - start.length])
            verdicts: Verdict = jax.tree.map(lambda *rows: jnp.stack(rows), follow, *kept)

            def look() -> PyTree:
                return record(verifiers, draft, p, walks, kept) if record else ()

            blank = jax.tree.map(lambda row: jnp.zeros(row.shape, row.dtype), jax.eval_shape(look))
            seen = jax.lax.cond(recording, look, lambda: blank)
            leading: Verdict = jax.tree.map(lambda rows: rows[leader], verdicts)
            most = jnp.sum(draft.reach(_before_the_end(decoder, p)))
            return decode.commit(decoder, proposed, leading), (verdicts.length[1:], most, seen)

        end, count, records = decode.run(step, start, text.shape[0], calls)
        return end.status, count, records

    return jax.vmap(one)(keys, starts, said)


def _before_the_end(decoder: Decoder, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
    """The laws without the tokens that end a text: nothing is kept after them."""
    ends = jnp.isin(jnp.arange(p.shape[1]), jnp.asarray(decoder.eos))
    return jnp.where(ends, 0, p)


def _next(like: Verdict, token: Int[Array, ""]) -> Verdict:
    """The verdict that emits this token and no draft."""
    tokens = jnp.zeros_like(like.tokens).at[0].set(token)
    path = jnp.full_like(like.path, NO_NODE).at[0].set(ROOT)
    return Verdict(tokens, jnp.full_like(like.length, 1), path)


def reports(
    verifiers: tuple[Verifier, ...],
    draft: Draft,
    p: Float[Array, "N V"],
    walks: list[Walk],
    kept: list[Verdict],
) -> NodeReport:
    """The walks of all verifiers beside theory, [R, D + 1]; the optimum of a node is sought once
    for all of them.
    """
    return node_reports(verifiers, draft, p, walks, [verdict.length for verdict in kept])
