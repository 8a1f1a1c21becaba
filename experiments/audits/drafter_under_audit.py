"""A drafter under audit: what it draws and states at one state, and the texts of its decodes."""

import dataclasses
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from experiments.cli import seeds
from experiments.enumeration import verifier_laws
from specjax import decode, drafting
from specjax._types import RandomKey
from specjax.decode import Decoder, DecodeState, Params
from specjax.models import LanguageModel
from specjax.trees import Draft, chain
from specjax.verifiers import Verifier, Walk

Law = verifier_laws.Array
Text = tuple[int, ...]

PROMPT: Text = (2, 0, 3, 1, 0)
EMITTED = 4  # tokens of the texts that are counted
ROOM = 32  # tokens of the longest text that is read
STEPS = 3  # after which trees are drawn
DRAWS = 1 << 13


class Seen(NamedTuple):
    """What many draws of a tree have, K rows each.

    Attributes:
      tokens: [K, N].
      active: [K, N].
      children: [K, N, W].
      q: [K, N, ...], as stated.
      p: [K, N, V], the target's law, as the decoder has it.
      scheme: [K], the place of the drafting scheme among the names of all.
    """

    tokens: Int[Array, "K N"]
    active: Bool[Array, "K N"]
    children: Int[Array, "K N W"]
    q: Float[Array, "K N ..."]
    p: Float[Array, "K N V"]
    scheme: Int[Array, " K"]


@dataclasses.dataclass(frozen=True, eq=False)
class DrafterUnderAudit:
    """A drafter, and the decode in which it is audited.

    Attributes:
      name: what the audit calls it.
      decoder: target, drafter and sampling.
      params: their weights.
      verifier: a lossless verifier that covers the drafter's trees.
      draws: of trees, and of texts.
      seed: of the draws.
    """

    name: str
    decoder: Decoder
    params: Params
    verifier: Verifier
    draws: int = DRAWS
    seed: int = 0

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.decoder.target.vocabulary

    @functools.cached_property
    def keys(self) -> RandomKey:
        """[K], one for each text."""
        return jax.random.split(seeds.key(self.seed), self.draws)

    @functools.cached_property
    def decoded(self) -> tuple[verifier_laws.Indices, DecodeState]:
        """K texts of EMITTED tokens; the state of the first text after STEPS steps."""
        states = self.fresh(PROMPT)
        middle = states
        for step in range(EMITTED):
            if step == STEPS:
                middle = states
            states, _ = self.stepped(states)
        texts = np.asarray(states.tokens)[:, len(PROMPT) :][:, :EMITTED]
        state: DecodeState = jax.tree.map(lambda held: held[0], middle)
        return texts, state

    def fresh(self, text: Text) -> DecodeState:
        """K times the state of a decode that begins with a text."""
        held, length = _padded([text])
        return self._repeated(_init(self.decoder, self.params, held[0], length[0]))

    def _repeated(self, state: DecodeState) -> DecodeState:
        many: DecodeState = jax.tree.map(
            lambda held: jnp.broadcast_to(held, (self.draws, *jnp.shape(held))), state
        )
        return many

    def stepped(self, states: DecodeState) -> tuple[DecodeState, Seen]:
        """The K states after a step with K keys, and what was drawn in it."""
        made: tuple[DecodeState, Seen] = _stepped(
            self.decoder, self.verifier, self.keys, self.params, states
        )
        return made

    @functools.cached_property
    def text(self) -> Text:
        """The first text after STEPS steps."""
        _, state = self.decoded
        return tuple(np.asarray(state.tokens)[: int(state.length)].tolist())

    @functools.cached_property
    def seen(self) -> Seen:
        """Many draws of the next tree below the first text."""
        return self._drawn(self._repeated(self.decoded[1]))

    def drawn_afresh(self) -> Seen:
        """The same in decodes that begin with this text."""
        return self._drawn(self.fresh(self.text))

    def _drawn(self, states: DecodeState) -> Seen:
        _, seen = self.stepped(states)
        rows: Seen = jax.tree.map(np.asarray, seen)
        return rows

    @functools.cached_property
    def children(self) -> verifier_laws.Indices:
        """[N, W], the nodes below each node.

        Raises:
          ValueError: they differ from draw to draw.
        """
        children = np.asarray(self.seen.children)
        if np.any(children != children[0]):
            raise ValueError(f"drafter {self.name}: expected trees of one shape, got several")
        first: verifier_laws.Indices = children[0]
        return first

    @functools.cached_property
    def contexts(self) -> verifier_laws.Indices:
        """[K, N], the number of what was drafted on the way to each node, as a walk takes it."""
        tokens = np.asarray(self.seen.tokens)
        contexts = np.zeros(tokens.shape, np.int64)
        for node, below in enumerate(self.children):
            for child in below[below >= 0]:
                contexts[:, child] = contexts[:, node] * self.vocabulary + 1 + tokens[:, child]
        return contexts

    @functools.cached_property
    def scheme(self) -> str:
        """The name of the drafting scheme."""
        return drafting.names()[int(self.seen.scheme[0])]

    def laws(self, text: Text) -> Law:
        """[S, V], the target's law after a text and each continuation of less than EMITTED tokens.

        Each law comes from a plain forward of its text.
        """
        tokens = range(self.vocabulary)
        lengths = range(EMITTED)
        ends = [list(itertools.product(tokens, repeat=length)) for length in lengths]
        held, length = _padded([(*text, *end) for end in itertools.chain(*ends)])
        logits = _plain(self.decoder.target, self.params.target, held, length - 1)
        return np.asarray(self.decoder.sampling.law(logits), np.float64)

    @functools.cached_property
    def emitted(self) -> tuple[Law, Law]:
        """How often each text of EMITTED tokens was emitted, and how often it should be."""
        texts, _ = self.decoded
        places = texts @ self.vocabulary ** np.arange(EMITTED)[::-1]
        counts = np.bincount(places, minlength=self.vocabulary**EMITTED)
        return counts / self.draws, _law_of_texts(self.laws(PROMPT))


def _law_of_texts(laws: Law) -> Law:
    """[V^T], the chance of each text, from the laws after each context."""
    mass = np.ones(1)
    vocabulary = laws.shape[1]
    first = 0
    for _ in range(EMITTED):
        last = first + len(mass)
        mass = (mass[:, None] * laws[first:last]).ravel()
        first = last
    assert len(mass) == vocabulary**EMITTED
    return mass


def _padded(texts: list[Text]) -> tuple[Int[Array, "K P"], Int[Array, " K"]]:
    held = np.zeros((len(texts), ROOM), np.int32)
    for row, text in zip(held, texts, strict=True):
        row[: len(text)] = text
    return jnp.asarray(held), jnp.array([len(text) for text in texts], jnp.int32)


@functools.partial(jax.jit, static_argnames="decoder")
def _init(
    decoder: Decoder, params: Params, text: Int[Array, " P"], length: Int[Array, ""]
) -> DecodeState:
    return decode.init(decoder, params, text, length, ROOM)


@functools.partial(jax.jit, static_argnames="decoder")
def _stepped(
    decoder: Decoder,
    verifier: Verifier,
    keys: RandomKey,
    params: Params,
    states: DecodeState,
) -> tuple[DecodeState, Seen]:
    def one(key: RandomKey, state: DecodeState) -> tuple[DecodeState, Seen]:
        after, info = decode.step(decoder, verifier, key, params, state, _record)
        return after, info.record

    return jax.vmap(one)(keys, states)


def _record(
    verifier: Verifier,
    draft: Draft,
    p: Array,
    made: Walk,
    kept: Array,
) -> Seen:
    tree = draft.topology
    active, children = jnp.asarray(tree.active), jnp.asarray(tree.children)
    scheme = jnp.int32(drafting.names().index(draft.scheme))
    return Seen(draft.tokens, active, children, draft.q, p, scheme)


@functools.partial(jax.jit, static_argnames="model")
def _plain(
    model: LanguageModel,
    params: Params,
    texts: Int[Array, "K P"],
    places: Int[Array, " K"],
) -> Float[Array, "K V"]:
    """The logits at one place of each text, out of one forward."""

    def one(text: Int[Array, " P"], place: Int[Array, ""]) -> Float[Array, " V"]:
        cache = model.init(ROOM, 0)
        return model.score(params, cache, text, chain(ROOM - 1)).logits[place]

    return jax.vmap(one)(texts, places)
