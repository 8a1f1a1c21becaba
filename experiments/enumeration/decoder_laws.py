"""The exact law of one step of a decode: the decoder's own programs, on every tree that can be
drawn.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

import theory
from experiments.enumeration import verifier_laws
from specjax import decode
from specjax._types import LevelLaws, RandomKey
from specjax.decode import Decoder, DecodeState, Params
from specjax.drafters import ModelDrafter
from specjax.drafters.subnetwork import Subnetwork
from specjax.trees.growth import Grown, Level
from specjax.trees.topology import AnyArray, Topology
from specjax.verifiers import Verifier

Tables = tuple[verifier_laws.Array, verifier_laws.Array]  # of target and draft
Law = verifier_laws.Array
LawAfter = Callable[[Sequence[int]], Law]  # of what follows a text


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """Grows a tree that is known before anything is drawn.

    Attributes:
      tokens: [N], of its nodes.
      active: [N], which nodes were drawn.
    """

    topology: Topology
    scheme: str
    tokens: Int[AnyArray, " N"]
    active: Bool[AnyArray, " N"]
    name: ClassVar[str] = "given"

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of nodes at each level."""
        return tuple(np.diff(self.topology.levels).tolist())

    def start(self) -> tuple[()]:
        """Nothing to remember."""
        return ()

    def expand(
        self, key: RandomKey, depth: int, state: tuple[()], q: LevelLaws
    ) -> tuple[tuple[()], Level]:
        """The nodes of the next level, whatever q is."""
        first, end, last = self.topology.levels[depth : depth + 3]
        parents = np.asarray(self.topology.parents)[end:last] - first
        return (), Level(
            parents, jnp.asarray(self.tokens[end:last]), jnp.asarray(self.active[end:last])
        )

    def finish(
        self, state: tuple[()], parents: Int[AnyArray, " M"], active: Bool[AnyArray, " M"]
    ) -> Grown:
        """The tree, every node in its place."""
        tree = dataclasses.replace(self.topology, active=active)
        return Grown(tree, np.arange(self.topology.nodes))


def drawn(
    topology: Topology,
    scheme: str,
    prompt: Sequence[int],
    target: LawAfter,
    draft: LawAfter,
) -> theory.Drawn:
    """Every tree that can be drawn after a prompt, from two laws that know the text so far."""
    parents = tuple(np.asarray(topology.parents).tolist())
    p, q = _table(target, prompt, topology.height), _table(draft, prompt, topology.height)
    return theory.trees.drawn(theory.TreeProblem(parents, p, q, scheme))


def _table(law: LawAfter, prompt: Sequence[int], height: int) -> verifier_laws.Array:
    """The laws after every context of a tree, in the referee's order."""
    vocabulary = len(law(prompt))
    contexts = range(theory.trees.contexts_within(vocabulary, height))
    return np.array([law([*prompt, *_tokens(context, vocabulary)]) for context in contexts])


def _tokens(context: int, vocabulary: int) -> list[int]:
    """The tokens of a context by its number."""
    if context == theory.trees.ROOT:
        return []
    above, token = divmod(context - 1, vocabulary)
    return [*_tokens(above, vocabulary), token]


def laws(
    decoder: Decoder,
    verifier: Verifier,
    params: Params,
    prompt: Sequence[int],
    drawn: theory.Drawn,
) -> verifier_laws.Array:
    """The law [T, N, V] of what a step emits on every drawn tree, in float64.

    Both models score the tree as they do in a decode; only its tokens are given.
    """
    with jax.enable_x64(True):
        weights: Params = jax.tree.map(jnp.asarray, params)
        text = jnp.array(prompt, jnp.int32)
        budget = decoder.drafter.topology.height + 1
        state = decode.init(decoder, weights, text, jnp.int32(len(prompt)), budget)
        tokens = drawn.tokens.astype(np.int32)
        # a program runs once and goes: each is 200 memory maps, and a process may have 65530
        program = jax.jit(functools.partial(_laws, decoder))
        found = program(verifier, weights, state, tokens, drawn.active)
        return np.asarray(found, np.float64)


def _laws(
    decoder: Decoder,
    verifier: Verifier,
    params: Params,
    state: DecodeState,
    tokens: Int[Array, "T N"],
    active: Bool[Array, "T N"],
) -> Float[Array, "T N V"]:
    drafter = decoder.drafter
    assert isinstance(drafter, ModelDrafter | Subnetwork)  # both grow a tree

    def law(tokens: Int[Array, " N"], active: Bool[Array, " N"]) -> Float[Array, "N V"]:
        given = Given(drafter.topology, drafter.growth.scheme, tokens, active)
        own = dataclasses.replace(decoder, drafter=dataclasses.replace(drafter, growth=given))
        proposed = decode.propose(own, jax.random.key(0), params, state)
        return verifier.law(proposed.draft, proposed.p)

    return jax.vmap(law)(tokens, active)
