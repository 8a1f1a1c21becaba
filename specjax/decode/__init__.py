"""Speculative decoding as one jitted program.

A step drafts a tree, scores it, verifies it and commits, until an EOS token or the budget ends the
text.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from specjax import drafters, numerics
from specjax._types import Count, NodeLaws, RandomKey, Uniforms
from specjax.decode._loop import run
from specjax.decode._prompts import bucket, encoded, padded
from specjax.decode._state import (
    FINE,
    NO_DRAFT_LAW,
    NO_TARGET_LAW,
    STATUS,
    Decoded,
    Decoder,
    DecodeState,
    Params,
    Proposed,
    StepInfo,
    waste,
)
from specjax.decode._verifiers import evidence, verifier
from specjax.drafters import Drafter, Held, NoDraft
from specjax.models import Pair, Scores, longest, prefill, reading
from specjax.numerics import AS_IS, Sampling
from specjax.trees import NO_NODE, Draft, Topology, TreeDrafting, Verdict, growth
from specjax.verifiers import Verifier, Walk

DRAFT, VERIFY = range(2)  # purposes of the random streams
ROWS = 64  # a cache comes in multiples of this

# of one step; the last is how many tokens are kept
Record = Callable[[Verifier, Draft, NodeLaws, Walk, Count], PyTree]


def decoder(
    pair: Pair,
    tree: Topology | TreeDrafting,
    scheme: str,
    sampling: Sampling = AS_IS,
    draft_sampling: Sampling | None = None,
    evidence: tuple[int, ...] = (),
) -> Decoder:
    """The decoder in which the pair's draft model grows a tree by a drafting scheme.

    Without drafts (`trees.chain(0)`) the target decodes alone: the baseline of every speed.

    Args:
      pair: target and draft model.
      tree: a fixed tree, or one that grows.
      scheme: name of the drafting scheme.
      sampling: how logits become laws, those of target and draft alike.
      draft_sampling: the same for the draft alone, where it has its own.
      evidence: layers of the target whose hidden states the verifier reads: `decode.evidence`.

    Returns:
      The decoder.

    Raises:
      ValueError: the tree draws by another scheme.

    Example:
      >>> from specjax import decode, models, trees
      >>> pair = models.pairs.load("markov")
      >>> decode.decoder(pair, trees.full(2, 2), "iid").drafter.topology.nodes
      7
    """
    grown = growth.drafting(tree, scheme)
    drafter: Drafter = NoDraft(pair.target.vocabulary, scheme)
    if grown.topology.height > 0:
        drafter = drafters.over(pair.draft, grown, draft_sampling or sampling)
    return Decoder(pair.target, drafter, sampling, pair.eos, evidence)


def init(
    decoder: Decoder,
    params: Params,
    prompt: Int[Array, " P"],
    length: Count,
    budget: int,
) -> DecodeState:
    """The state after the first `length` tokens of a padded prompt.

    Prompts that `padded` pads to one size share a trace; so do caches of similar size.

    Args:
      decoder: the decoder.
      params: the weights.
      prompt: token ids [P], padded.
      length: number of prompt tokens that count, at least 1.
      budget: number of tokens that may follow, static.

    Returns:
      The state before the first step.
    """
    steps = decoder.drafter.topology.height + 1
    rows = prompt.shape[0] + budget + steps + decoder.drafter.topology.nodes
    rows = -(-rows // ROWS) * ROWS
    reader = reading(decoder.target, decoder.drafter.features)
    read = prefill(reader, params.target, prompt, length, rows)
    return DecodeState(
        tokens=jnp.pad(prompt.astype(jnp.int32), (0, budget + steps)),
        length=length,
        limit=jnp.minimum(length + budget, longest(decoder.target)),
        done=jnp.bool_(False),
        status=jnp.int32(FINE),
        target=read.cache,
        drafter=decoder.drafter.init(params.drafter, prompt, length, rows, read.features),
    )


def propose(decoder: Decoder, key: RandomKey, params: Params, state: DecodeState) -> Proposed:
    """Draft a tree and score it.

    A node has no law if its logits hold NaN, or if none of them is finite.

    Args:
      decoder: the decoder.
      key: typed key of the decode.
      params: the weights.
      state: the state before the step.

    Returns:
      The draft and what the target says of it.
    """
    draft, drafter = decoder.drafter.propose(
        _stream(key, DRAFT, state), params.drafter, state.drafter, Held(params.target, state.target)
    )
    scores = decoder.read.score(params.target, state.target, draft.tokens, draft.topology)
    p = decoder.sampling.law(scores.logits)
    active = jnp.asarray(draft.topology.active)
    no_p = jnp.any(active & _broken(p))
    no_q = jnp.any(active & _broken(draft.q))
    broken = jnp.select([no_p, no_q], [NO_TARGET_LAW, NO_DRAFT_LAW], FINE)
    status = jnp.where(state.done, state.status, broken).astype(jnp.int32)
    scored = state._replace(
        done=state.done | (status != FINE),
        status=status,
        target=scores.cache,
        drafter=drafter,
    )
    count = len(decoder.drafter.features)
    if decoder.evidence:
        seen = jnp.concatenate(scores.features[count:], -1)
        draft = dataclasses.replace(draft, evidence=seen)
    return Proposed(draft, p, Scores(scores.logits, scores.features[:count], ()), scored)


def _broken(laws: Float[Array, "N ..."]) -> Bool[Array, " N"]:
    """Which nodes have a law with NaN."""
    return jnp.isnan(jnp.sum(laws, range(1, laws.ndim)))


def uniforms(key: RandomKey, state: DecodeState, draft: Draft) -> Uniforms:
    """The N + 1 uniforms of the walk at this position; verifiers that are compared share them.

    Args:
      key: typed key of the decode.
      state: the state before the step.
      draft: the drawn tree.

    Returns:
      The uniforms, [N + 1, 2].
    """
    own_key = _stream(key, VERIFY, state)
    return numerics.uniforms(own_key, (draft.topology.nodes + 1,), draft.q.dtype)


def _stream(key: RandomKey, purpose: int, state: DecodeState) -> RandomKey:
    """The key of a purpose at a position; no two of them share one."""
    return jax.random.fold_in(key, 2 * state.length + purpose)


def emitted(decoder: Decoder, state: DecodeState, verdict: Verdict) -> Verdict:
    """What is emitted of a verdict: its tokens up to the first EOS token and the limit.

    Args:
      decoder: the decoder.
      state: the state before the step.
      verdict: the verdict of the walk.

    Returns:
      The verdict, cut; its length is 0 if the state is done.
    """
    rows = jnp.arange(verdict.tokens.shape[0])
    ends = _is_end(decoder, verdict.tokens) & (rows < verdict.length)
    length = jnp.where(jnp.any(ends), jnp.argmax(ends).astype(jnp.int32) + 1, verdict.length)
    length = jnp.where(state.done, 0, jnp.minimum(length, state.limit - state.length))
    return Verdict(
        jnp.where(rows < length, verdict.tokens, 0),
        length,
        jnp.where(rows < length, verdict.path, NO_NODE),
    )


def _is_end(decoder: Decoder, tokens: Int[Array, " T"]) -> Bool[Array, " T"]:
    return jnp.isin(tokens, np.atleast_1d(decoder.eos))


def commit(decoder: Decoder, proposed: Proposed, verdict: Verdict) -> DecodeState:
    """Append what is `emitted` of a verdict, and let target and drafter see it.

    Args:
      decoder: the decoder.
      proposed: what `propose` returned.
      verdict: the verdict of the walk.

    Returns:
      The state before the next step.
    """
    draft, _, scores, state = proposed
    verdict = emitted(decoder, state, verdict)
    rows = jnp.arange(verdict.tokens.shape[0])
    length = state.length + verdict.length
    slots = jnp.where(rows < verdict.length, state.length + rows, state.tokens.shape[0])
    ended = jnp.any(_is_end(decoder, verdict.tokens) & (rows < verdict.length))
    return DecodeState(
        tokens=state.tokens.at[slots].set(verdict.tokens, mode="drop"),
        length=length,
        limit=state.limit,
        done=state.done | ended | (length >= state.limit),
        status=state.status,
        target=decoder.target.commit(state.target, verdict.path),
        drafter=decoder.drafter.observe(state.drafter, draft, scores, verdict),
    )


def step(
    decoder: Decoder,
    verifier: Verifier,
    key: RandomKey,
    params: Params,
    state: DecodeState,
    record: Record | None = None,
) -> tuple[DecodeState, StepInfo]:
    """Make one target call, which emits from 1 to D + 1 tokens.

    A state that is done emits no token and commits nothing.

    Args:
      decoder: the decoder.
      verifier: the verifier, as `decode.verifier` returns it.
      key: typed key of the decode.
      params: the weights.
      state: the state before the step.
      record: as in `decode`.

    Returns:
      The next state, and what happened.

    Cost: a forward of the target, those of the drafter, and one law for each visited node; also the
    cost of what is recorded.
    """
    proposed = propose(decoder, key, params, state)
    draft, p = proposed.draft, proposed.p
    made = verifier.walk(uniforms(key, state, draft), draft, p)
    kept = emitted(decoder, proposed.state, made.verdict)
    drafted = jnp.sum(jnp.asarray(draft.topology.active), dtype=jnp.int32) - 1
    info = StepInfo(
        emitted=kept.length,
        accepted=jnp.minimum(made.verdict.length - 1, kept.length),
        drafted=jnp.where(proposed.state.done, 0, drafted),
        record=record(verifier, draft, p, made, kept.length) if record else (),
    )
    return commit(decoder, proposed, kept), info


@functools.partial(jax.jit, static_argnames=("decoder", "budget", "record"))
def decode(
    decoder: Decoder,
    verifier: Verifier,
    key: RandomKey,
    params: Params,
    prompt: Int[Array, " P"],
    length: Count,
    budget: int,
    record: Record | None = None,
    most: Count | None = None,
) -> Decoded:
    """Decode up to `budget` tokens after a prompt, without leaving the device.

    A batch is a vmap over key, prompt, length and `most`. It runs until its slowest row is done;
    rows that are done stand still, and `waste` says what that cost. Up to rounding, every row has
    the laws that it has alone.

    Args:
      decoder: the decoder; static.
      verifier: `decode.verifier(rule or verifier, scheme, topology)`; its numbers are traced.
      key: typed; streams are split by purpose and position, so the result depends on nothing else.
      params: the weights of target and drafter.
      prompt: token ids [P], padded.
      length: number of prompt tokens that count, at least 1.
      budget: the largest number of tokens to emit; static.
      record: what to look at in each step, e.g. `verifiers.node_report`; None for nothing, which
        costs nothing.
      most: a smaller budget that is traced, so that each row of a batch may have its own.

    Returns:
      The tokens and the history of the steps.
    """
    start = init(decoder, params, prompt, length, budget)
    if most is not None:
        limit = jnp.minimum(start.limit, length + most)
        start = start._replace(limit=limit, done=length >= limit)
    one = functools.partial(step, decoder, verifier, key, params, record=record)
    state, steps, info = run(one, start, budget, jnp.int32(budget))
    learned = decoder.drafter.learned(state.drafter)
    return Decoded(state.tokens, state.length, steps, info, state.status, learned)


__all__ = [
    "FINE",
    "NO_DRAFT_LAW",
    "NO_TARGET_LAW",
    "STATUS",
    "DecodeState",
    "Decoded",
    "Decoder",
    "Params",
    "Proposed",
    "Record",
    "StepInfo",
    "bucket",
    "commit",
    "decode",
    "decoder",
    "emitted",
    "encoded",
    "evidence",
    "init",
    "padded",
    "propose",
    "run",
    "step",
    "uniforms",
    "verifier",
    "waste",
]


def __dir__() -> list[str]:
    return sorted(__all__)
