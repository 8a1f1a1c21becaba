"""All rules and verifiers of one scheme judge the same drafts at the same contexts, while each leads a decode of its own: one program."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from numpy.typing import NDArray

from specjax import decode
from specjax.decode import Decoder, DecodeState, Params
from specjax.trees import Verdict
from specjax.verifiers import NodeReport, Verifier, optimum, report

BROKEN = ("", "the target's logits hold NaN, or no finite one", "the draft model's logits hold NaN, or no finite one")  # by status


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
      emitted: [B, T, R], tokens that each judge emits, up to the end of the text.
      nodes: [B, T, R, D + 1] each.
    """

    ran: NDArray[np.bool_]
    emitted: NDArray[np.int32]
    nodes: NodeReport


@functools.partial(jax.jit, static_argnames=("decoder", "steps"))
def _run(
    decoder: Decoder,
    judges: tuple[Verifier, ...],
    leader: Int[Array, ""],
    keys: Key[Array, " B"],
    params: Params,
    starts: DecodeState,
    steps: int,
) -> tuple[Int[Array, " B"], Int[Array, " B"], tuple[Int[Array, "B T R"], NodeReport]]:
    def step(key: Key[Array, ""], state: DecodeState) -> tuple[DecodeState, tuple[Int[Array, " R"], NodeReport]]:
        draft, p, scored = decode.propose(decoder, key, params, state)
        uniforms = decode.uniforms(key, state, draft)
        walks = [judge.walk(uniforms, draft, p) for judge in judges]
        kept = [decode.emitted(decoder, scored, walk.verdict) for walk in walks]
        verdicts: Verdict = jax.tree.map(lambda *rows: jnp.stack(rows), *kept)
        alpha_star = optimum(draft, p, decode.visited(verdicts.path, draft.topology.nodes))
        reports = [report(judge, draft, p, walk, alpha_star, own.length) for judge, walk, own in zip(judges, walks, kept, strict=True)]
        leading: Verdict = jax.tree.map(lambda rows: rows[leader], verdicts)
        return decode.commit(decoder, scored, leading), (verdicts.length, jax.tree.map(lambda *rows: jnp.stack(rows), *reports))

    def one(key: Key[Array, ""], start: DecodeState) -> tuple[Int[Array, ""], Int[Array, ""], tuple[Int[Array, "T R"], NodeReport]]:
        end, count, records = decode.run(functools.partial(step, key), start, steps)
        return end.status, count, records

    return jax.vmap(one)(keys, starts)


def measure(
    decoder: Decoder,
    judges: tuple[Verifier, ...],
    leader: int,
    key: Key[Array, ""],
    params: Params,
    prompts: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    steps: int,
) -> Records:
    """Decode `steps` target calls after each prompt by judge `leader`, every judge ruling on every draft.

    Raises:
      ValueError: a model gave no law.
    """
    budget = steps * (decoder.drafter.topology.height + 1)
    starts = jax.vmap(lambda prompt, length: decode.init(decoder, params, prompt, length, budget))(prompts, lengths)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, leader), jnp.arange(prompts.shape[0]))
    status, count, (emitted, nodes) = _run(decoder, judges, jnp.int32(leader), keys, params, starts, steps)
    check_status(status)
    ran = np.arange(steps) < np.asarray(count)[:, None]
    return Records(ran, np.asarray(emitted), jax.tree.map(np.asarray, nodes))


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
