"""Block efficiency of verifiers on a draft tree, each in a decode of its own; and what a draft model's drafts are worth, slot by slot."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree
from numpy.typing import NDArray

from experiments._measure import check_status
from specjax import decode, rules
from specjax.decode import Decoder, DecodeState, Params
from specjax.models import Pair
from specjax.numerics import Sampling, total
from specjax.trees import ROOT, star
from specjax.verifiers import TopDown, Verifier
from theory.shapes import LogMoments

SCHEME, RULE = "without_replacement", "recursive_rejection_without_replacement"


class Texts(NamedTuple):
    """Prompts padded to one length, and how many target calls follow each.

    Attributes:
      tokens: [B, P].
      lengths: [B].
      calls: at most; a text may end before.
    """

    tokens: Int[Array, "B P"]
    lengths: Int[Array, " B"]
    calls: int


class Calls(NamedTuple):
    """Target calls: which were made [B, T], and the tokens that each emitted [B, T]."""

    ran: Bool[np.ndarray, "B T"]
    emitted: Int[np.ndarray, "B T"]


class Profile(NamedTuple):
    """What a pair of models is like at the contexts of a decode.

    Attributes:
      acceptance: [n], the chance that recursive rejection without replacement accepts the draft in each slot of a node.
      moments: of -log p, over the target's laws.
    """

    acceptance: NDArray[np.float64]
    moments: LogMoments


def profile(pair: Pair, sampling: Sampling, key: Key[Array, ""], texts: Texts, slots: int) -> Profile:
    """Measured at the root of stars of `slots` drafts, with the draw of the token averaged out."""
    tree = star(slots)
    decoder = decode.decoder(pair, tree, SCHEME, sampling)
    judge = decode.verifier(rules.get(RULE)(), SCHEME, tree)
    assert isinstance(judge, TopDown)
    status, count, (masses, logs) = _profile(decoder, judge, *_starts(decoder, pair, key, texts), texts.calls)
    check_status(status)
    ran = _ran(count, texts)
    first, second = np.asarray(logs, np.float64)[ran].mean(0)
    return Profile(np.asarray(masses, np.float64)[ran].mean(0), LogMoments(float(first), float(second)))


def measure(decoder: Decoder, judges: tuple[Verifier, ...], pair: Pair, key: Key[Array, ""], texts: Texts) -> list[Calls]:
    """What each judge emits in the decode that it leads; all of them share the first drafts and the uniforms of each position."""
    start = _starts(decoder, pair, key, texts)
    led = [_lead(decoder, judges, jnp.int32(leader), *start, texts.calls) for leader in range(len(judges))]
    for status, _, _ in led:
        check_status(status)
    return [Calls(_ran(count, texts), np.asarray(emitted)) for _, count, emitted in led]


def _starts(decoder: Decoder, pair: Pair, key: Key[Array, ""], texts: Texts) -> tuple[Key[Array, " B"], Params, DecodeState]:
    params, budget = Params(pair.target_params, pair.draft_params), texts.calls * (decoder.drafter.topology.height + 1)
    states = jax.vmap(lambda prompt, length: decode.init(decoder, params, prompt, length, budget))(texts.tokens, texts.lengths)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(texts.lengths))), params, states


def _ran(count: Int[Array, " B"], texts: Texts) -> Bool[np.ndarray, "B T"]:
    return np.arange(texts.calls) < np.asarray(count)[:, None]


@functools.partial(jax.jit, static_argnames=("decoder", "calls"))
def _lead(
    decoder: Decoder,
    judges: tuple[Verifier, ...],
    leader: Int[Array, ""],
    keys: Key[Array, " B"],
    params: Params,
    starts: DecodeState,
    calls: int,
) -> tuple[Int[Array, " B"], Int[Array, " B"], Int[Array, "B T"]]:
    def step(key: Key[Array, ""], state: DecodeState) -> tuple[DecodeState, Int[Array, ""]]:
        draft, p, scored = decode.propose(decoder, key, params, state)
        uniforms = decode.uniforms(key, state, draft)
        walks = [functools.partial(judge.walk, uniforms, draft, p) for judge in judges]
        verdict = decode.emitted(decoder, scored, jax.lax.switch(leader, walks).verdict)
        return decode.commit(decoder, scored, verdict), verdict.length

    return _each(step, keys, starts, calls)


@functools.partial(jax.jit, static_argnames=("decoder", "calls"))
def _profile(
    decoder: Decoder, judge: TopDown, keys: Key[Array, " B"], params: Params, starts: DecodeState, calls: int
) -> tuple[Int[Array, " B"], Int[Array, " B"], tuple[Float[Array, "B T n"], Float[Array, "B T 2"]]]:
    def step(key: Key[Array, ""], state: DecodeState) -> tuple[DecodeState, tuple[Float[Array, " n"], Float[Array, " 2"]]]:
        draft, p, scored = decode.propose(decoder, key, params, state)
        verdict = judge.walk(decode.uniforms(key, state, draft), draft, p).verdict
        drafts, drawn = draft.tokens[ROOT + 1 :], draft.topology.active[ROOT + 1 :]
        law = judge.rule.law(drafts, p[ROOT], draft.q[ROOT], jnp.asarray(drawn))
        logs = jnp.log(jnp.where(p[ROOT] > 0, p[ROOT], 1))
        moments = jnp.stack([total(-p[ROOT] * logs), total(p[ROOT] * logs**2)])
        return decode.commit(decoder, scored, verdict), (jnp.where(drawn, law[drafts], 0), moments)

    return _each(step, keys, starts, calls)


def _each(step: PyTree, keys: Key[Array, " B"], starts: DecodeState, calls: int) -> PyTree:
    """How the decode after each prompt ended, the calls that it made, and what was seen at them."""

    def one(key: Key[Array, ""], start: DecodeState) -> PyTree:
        end, count, seen = decode.run(functools.partial(step, key), start, calls, jnp.int32(calls))
        return end.status, count, seen

    return jax.vmap(one)(keys, starts)
