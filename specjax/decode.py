"""Speculative decoding as one jitted program: draft a tree, score it, verify, commit, until EOS or
the budget.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from specjax import numerics, rules
from specjax._types import Count, RandomKey, Rule
from specjax.drafters import Drafter, ModelDrafter
from specjax.models import LanguageModel, Pair, prefill
from specjax.numerics import AS_IS, Sampling
from specjax.trees import NO_NODE, Draft, Topology, TreeDrafting, Verdict, growth
from specjax.verifiers import TopDown, Verifier, Walk, check_covers, node_rule

DRAFT, VERIFY = range(2)  # purposes of the random streams
FINE, NO_TARGET_LAW, NO_DRAFT_LAW = range(3)  # a decode's status
STATUS = (
    "",
    "the target's logits hold NaN, or no finite one",
    "the draft model's logits hold NaN, or no finite one",
)
# caches come in multiples of this, so that trees of similar size share the prefill's trace
ROWS = 64

Info = TypeVar("Info")
# of one step; the last is how many tokens are kept
Record = Callable[[Verifier, Draft, Float[Array, "N V"], Walk, Count], PyTree]


class Params(NamedTuple):
    """The weights of the target and of the drafter."""

    target: PyTree
    drafter: PyTree


@dataclasses.dataclass(frozen=True)
class Decoder:
    """What is fixed while decoding: hashable by value, so that equal decoders share one trace.

    Attributes:
      target: the model whose law is emitted.
      drafter: who proposes the tree.
      sampling: how the target's logits become p.
      eos: token that ends a text, or several; -1 for none.
    """

    target: LanguageModel
    drafter: Drafter
    sampling: Sampling = AS_IS
    eos: int | tuple[int, ...] = -1


class DecodeState(NamedTuple):
    """What the next step needs.

    Attributes:
      tokens: [S], the prompt and what was emitted; rows from `length` on are scratch.
      length: committed tokens, the prompt included.
      limit: no more than this many tokens in all.
      done: EOS was emitted, the limit reached, or a law broken.
      status: FINE, or whose law is broken: NO_TARGET_LAW, NO_DRAFT_LAW.
      target, drafter: cache and state of the two.
    """

    tokens: Int[Array, " S"]
    length: Count
    limit: Count
    done: Bool[Array, ""]
    status: Count
    target: PyTree
    drafter: PyTree


class StepInfo(NamedTuple):
    """What a reader wants to know of one step.

    Attributes:
      emitted: tokens kept of the verdict; 0 in rows of steps that did not run, and at a state that
        is done.
      accepted: how many of these were drafts.
      record: what was asked to be recorded; empty rows of zeros where the step did not run.
    """

    emitted: Count
    accepted: Count
    record: PyTree


class Decoded(NamedTuple):
    """The text and its history: `tokens` [S] of which `length` count, and StepInfo stacked over
    [budget] of which `steps` ran.

    A `status` other than FINE says whose law ended the text; the last step then emitted nothing.
    """

    tokens: Int[Array, " S"]
    length: Count
    steps: Count
    info: StepInfo
    status: Count


def decoder(
    pair: Pair,
    tree: Topology | TreeDrafting,
    scheme: str,
    sampling: Sampling = AS_IS,
) -> Decoder:
    """The decoder in which the pair's draft model grows a tree by a drafting scheme.

    Raises:
      ValueError: the tree draws by another scheme.
    """
    return Decoder(
        pair.target,
        ModelDrafter(pair.draft, growth.drafting(tree, scheme), sampling),
        sampling,
        pair.eos,
    )


def verifier(chosen: Rule | Verifier, scheme: str, topology: Topology) -> Verifier:
    """Who accepts the tree, once the proof is seen to cover it: a verifier of whole paths as it is,
    a node rule from the root down.

    Raises:
      ValueError: the scheme, or an n of the tree, is not covered; the rule holds the plan of one
        pair (p, q).
    """
    made: Verifier = chosen if isinstance(chosen, Verifier) else TopDown(chosen)
    rule = node_rule(made)
    if rule is None:
        check_covers(made, scheme, topology)
        return made
    rules.check_decodes(rule)
    at_node = growth.node_scheme(f"rule {rule.name}", rule.claims, scheme)
    for n in topology.arities:
        if n > 0:
            rules.check_scheme(rule, at_node, n)
    return made


def init(
    decoder: Decoder,
    params: Params,
    prompt: Int[Array, " P"],
    length: Count,
    budget: int,
) -> DecodeState:
    """The state after the first `length` >= 1 tokens of a padded prompt; `budget` more may follow.

    The padding lets prompts of one bucket share a trace.
    """
    steps = decoder.drafter.topology.height + 1
    rows = prompt.shape[0] + budget + steps + decoder.drafter.topology.nodes
    rows = -(-rows // ROWS) * ROWS
    return DecodeState(
        tokens=jnp.pad(prompt.astype(jnp.int32), (0, budget + steps)),
        length=length,
        limit=length + budget,
        done=jnp.bool_(False),
        status=jnp.int32(FINE),
        target=prefill(decoder.target, params.target, prompt, length, rows),
        drafter=decoder.drafter.init(params.drafter, prompt, length, rows),
    )


def propose(
    decoder: Decoder,
    key: RandomKey,
    params: Params,
    state: DecodeState,
) -> tuple[Draft, Float[Array, "N V"], DecodeState]:
    """Draft a tree and score it: the draft, the target's laws p after each node, and the state to
    hand to `commit`.

    That state is done, and has a status, where a node of the tree has no law: its logits hold NaN,
    or no finite one.
    """
    draft, drafter = decoder.drafter.propose(
        _stream(key, DRAFT, state), params.drafter, state.drafter
    )
    scores = decoder.target.score(params.target, state.target, draft.tokens, draft.topology)
    p = decoder.sampling.law(scores.logits)
    no_p, no_q = (
        jnp.any(jnp.asarray(draft.topology.active) & _broken(laws)) for laws in (p, draft.q)
    )
    status = jnp.select(
        [state.done, no_p, no_q], [state.status, NO_TARGET_LAW, NO_DRAFT_LAW], FINE
    ).astype(jnp.int32)
    return (
        draft,
        p,
        state._replace(
            done=state.done | (status != FINE), status=status, target=scores.cache, drafter=drafter
        ),
    )


def _broken(laws: Float[Array, "N ..."]) -> Bool[Array, " N"]:
    """Which nodes have a law with NaN."""
    return jnp.isnan(jnp.sum(laws, range(1, laws.ndim)))


def uniforms(key: RandomKey, state: DecodeState, draft: Draft) -> Float[Array, "U 2"]:
    """The uniforms of this position's walk, N + 1 of them; verifiers that are compared share
    them.
    """
    return numerics.uniforms(
        _stream(key, VERIFY, state), (draft.topology.nodes + 1,), draft.q.dtype
    )


def _stream(key: RandomKey, purpose: int, state: DecodeState) -> RandomKey:
    """The key of a purpose at a position; no two share one."""
    return jax.random.fold_in(key, 2 * state.length + purpose)


def emitted(decoder: Decoder, state: DecodeState, verdict: Verdict) -> Verdict:
    """What is emitted of a verdict: up to the first EOS and the limit; of length 0 where the state
    is done.
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


def commit(decoder: Decoder, state: DecodeState, verdict: Verdict) -> DecodeState:
    """Append what is `emitted` of a verdict, and let both models keep its path."""
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
        drafter=decoder.drafter.observe(state.drafter, verdict, ()),
    )


def step(
    decoder: Decoder,
    verifier: Verifier,
    key: RandomKey,
    params: Params,
    state: DecodeState,
    record: Record | None = None,
) -> tuple[DecodeState, StepInfo]:
    """One target call: from 1 to D + 1 tokens are emitted. A state that is done emits none and
    commits nothing.

    Cost: a forward of the target, those of the drafter, and one law for each visited node; and what
    is recorded.
    """
    draft, p, scored = propose(decoder, key, params, state)
    made = verifier.walk(uniforms(key, state, draft), draft, p)
    kept = emitted(decoder, scored, made.verdict)
    recorded = record(verifier, draft, p, made, kept.length) if record else ()
    info = StepInfo(kept.length, jnp.minimum(made.verdict.length - 1, kept.length), recorded)
    return commit(decoder, scored, kept), info


def run(
    step: Callable[[DecodeState], tuple[DecodeState, Info]],
    state: DecodeState,
    rows: int,
    most: Count,
) -> tuple[DecodeState, Count, Info]:
    """Repeat a step until the state is done, `most` <= rows times at the most: the end, the steps
    made, their records [rows, ...].
    """
    records = jax.tree.map(
        lambda row: jnp.zeros((rows, *row.shape), row.dtype), jax.eval_shape(step, state)[1]
    )

    def turn(carry: tuple[DecodeState, Count, Info]) -> tuple[DecodeState, Count, Info]:
        state, count, records = carry
        state, row = step(state)
        return (
            state,
            count + 1,
            jax.tree.map(lambda table, value: table.at[count].set(value), records, row),
        )

    return jax.lax.while_loop(
        lambda carry: ~carry[0].done & (carry[1] < most), turn, (state, jnp.int32(0), records)
    )


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
) -> Decoded:
    """Decode up to `budget` tokens after the first `length` of a padded prompt, without leaving the
    device.

    Batch it by vmap over key, prompt and length; a batch runs until its slowest row is done.

    Args:
      verifier: `decode.verifier(rule or verifier, scheme, topology)`; its numbers are traced.
      key: typed; streams are split by purpose and position, so the result depends on nothing else.
      record: what to look at in each step, e.g. `verifiers.node_report`; None for nothing, which
        costs nothing.
    """
    start = init(decoder, params, prompt, length, budget)
    one = functools.partial(step, decoder, verifier, key, params, record=record)
    state, steps, info = run(one, start, budget, jnp.int32(budget))
    return Decoded(state.tokens, state.length, steps, info, state.status)
