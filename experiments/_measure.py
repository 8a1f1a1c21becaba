"""Rules and verifiers of one scheme judge the same drafts at the target's own contexts, then each leads a decode: one program."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from numpy.typing import NDArray

from experiments._contexts import Texts, per_prompt
from specjax import decode
from specjax.decode import Decoder, DecodeState, Params
from specjax.trees import NO_NODE, ROOT, Verdict
from specjax.verifiers import NodeReport, Verifier, optimum, report

BROKEN = ("", "the target's logits hold NaN, or no finite one", "the draft model's logits hold NaN, or no finite one")  # by status
STREAM = 0  # who leads: the target's own text, then the judges in turn


def check_status(status: Int[Array, " B"]) -> None:
    """Refuse what was measured on models that gave no law.

    Raises:
      ValueError: a decode ended with a status.
    """
    bad = np.flatnonzero(np.asarray(status))
    if len(bad):
        raise ValueError(f"{BROKEN[int(status[bad[0]])]}, after prompt {bad[0]}")


class Records(NamedTuple):
    """What the judges saw; axes: B prompts, T target calls, R rules, D depths.

    Attributes:
      ran: [B, T], false once a text has ended.
      emitted: [B, T, R], tokens of each judge's walk that a text would keep.
      nodes: [B, T, R, D + 1] each.
    """

    ran: NDArray[np.bool_]
    emitted: NDArray[np.int32]
    nodes: NodeReport


class Calls(NamedTuple):
    """Target calls of a decode: which were made [B, T], and the tokens that each emitted [B, T]."""

    ran: NDArray[np.bool_]
    emitted: NDArray[np.int32]


class Measured(NamedTuple):
    """What all judges did at the contexts of the texts, and what each emitted in the decode that it led."""

    contexts: Records
    led: list[Calls]


@functools.partial(jax.jit, static_argnames=("decoder",))
def _run(
    decoder: Decoder,
    judges: tuple[Verifier, ...],
    leader: Int[Array, ""],
    calls: Int[Array, ""],
    keys: Key[Array, " B"],
    params: Params,
    starts: DecodeState,
    said: Int[Array, "B T"],
) -> tuple[Int[Array, " B"], Int[Array, " B"], tuple[Int[Array, "B T R"], NodeReport]]:
    def one(
        key: Key[Array, ""], start: DecodeState, text: Int[Array, " T"]
    ) -> tuple[Int[Array, ""], Int[Array, ""], tuple[Int[Array, "T R"], NodeReport]]:
        def step(state: DecodeState) -> tuple[DecodeState, tuple[Int[Array, " R"], NodeReport]]:
            draft, p, scored = decode.propose(decoder, key, params, state)
            uniforms = decode.uniforms(key, state, draft)
            walks = [judge.walk(uniforms, draft, p) for judge in judges]
            kept = [decode.emitted(decoder, scored, walk.verdict) for walk in walks]
            follow = _next(kept[0], text[state.length - start.length])
            verdicts: Verdict = jax.tree.map(lambda *rows: jnp.stack(rows), follow, *kept)

            def look() -> NodeReport:
                alpha_star = optimum(draft, p, decode.visited(verdicts.path, draft.topology.nodes))
                reports = [
                    report(judge, draft, p, walk, alpha_star, own.length) for judge, walk, own in zip(judges, walks, kept, strict=True)
                ]
                return jax.tree.map(lambda *rows: jnp.stack(rows), *reports)

            blank = jax.tree.map(lambda row: jnp.zeros(row.shape, row.dtype), jax.eval_shape(look))
            seen = jax.lax.cond(leader == STREAM, look, lambda: blank)  # in a judge's decode nobody asks what theory expects
            leading: Verdict = jax.tree.map(lambda rows: rows[leader], verdicts)
            return decode.commit(decoder, scored, leading), (verdicts.length[1:], seen)

        end, count, records = decode.run(step, start, text.shape[0], calls)
        return end.status, count, records

    return jax.vmap(one)(keys, starts, said)


def _next(like: Verdict, token: Int[Array, ""]) -> Verdict:
    """The verdict that emits this token and no draft."""
    tokens, path = jnp.zeros_like(like.tokens).at[0].set(token), jnp.full_like(like.path, NO_NODE).at[0].set(ROOT)
    return Verdict(tokens, jnp.full_like(like.length, 1), path)


def measure(decoder: Decoder, judges: tuple[Verifier, ...], key: Key[Array, ""], params: Params, texts: Texts, calls: int) -> Measured:
    """Every judge rules on one draft at each context of the texts, then leads `calls` target calls after each prompt.

    The draft and the uniforms of a position hang on the key, the prompt and the tree: decodes of judges are paired.

    Raises:
      ValueError: a model gave no law.
    """
    (size, count), depth = texts.said.shape, decoder.drafter.topology.height
    init = functools.partial(decode.init, decoder, params, budget=count * (depth + 1))
    starts = jax.vmap(init)(texts.prompts, texts.lengths)

    def lead(leader: int, calls: int) -> tuple[NDArray[np.bool_], tuple[NDArray[np.int32], NodeReport]]:
        status, made, seen = _run(decoder, judges, jnp.int32(leader), jnp.int32(calls), per_prompt(key, size), params, starts, texts.said)
        check_status(status)
        return np.arange(count) < np.asarray(made)[:, None], jax.tree.map(np.asarray, seen)

    ran, (emitted, nodes) = lead(STREAM, count)
    led = [lead(1 + index, calls) for index in range(len(judges))]
    return Measured(Records(ran, emitted, nodes), [Calls(own, seen[0][:, :, i]) for i, (own, seen) in enumerate(led)])


class Mean(NamedTuple):
    """A mean over contexts and its standard error, the contexts of one prompt taken as one cluster; nan where there is no value."""

    value: float
    error: float


def clustered_mean(values: Float[np.ndarray, "B ..."], used: NDArray[np.bool_]) -> Mean:
    """Mean of the used values; with a single prompt the contexts count as independent."""
    count = used.sum()
    if count == 0 or np.isnan(values[used]).any():
        return Mean(np.nan, np.nan)
    mean = values[used].mean()
    deviations = np.where(used, values - mean, 0).reshape(len(values), -1)
    clusters = deviations.sum(1) if len(values) > 1 else deviations[0]
    size = len(clusters) if len(values) > 1 else count
    spread = np.sum(clusters**2) * size / max(size - 1, 1)
    return Mean(float(mean), float(np.sqrt(spread) / count))
