"""Planted errors: drafters, each with the words with which the audit must reject it; a verifier."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.audits import drafter_checks
from experiments.audits.drafter_under_audit import DrafterUnderAudit
from experiments.enumeration.decoder_laws import Given
from specjax.drafters import Held, ModelDrafter
from specjax.drafters.model import NO_TOKEN
from specjax.trees import NO_NODE, ROOT
from specjax.verifiers import Traversal, register


class Plant(NamedTuple):
    """The words with which the audit rejects a wrong drafter, and the check that says them."""

    words: str
    check: Callable[[DrafterUnderAudit], str]


PLANTED: dict[type, Plant] = {}


def planted(words, check):
    """Register a wrong drafter."""

    def enter(cls):
        PLANTED[cls] = Plant(words, check)
        return cls

    return enter


def change(cls):
    """Puts the wrong drafter into a decoder."""

    def changed(decoder):
        held = vars(decoder.drafter)
        return dataclasses.replace(decoder, drafter=cls(**held))

    return changed


def restated(drafter, draft, params, state):
    """The draft with the laws that another drafter states for its tokens."""
    tree = draft.topology
    given = Given(tree, draft.scheme, draft.tokens, jnp.asarray(tree.active))
    other = ModelDrafter(drafter.model, given, drafter.sampling)
    stated, _ = other.propose(jax.random.key(0), params, state, Held((), ()))
    return dataclasses.replace(draft, q=stated.q)


@planted(
    "draws other drafts than it states, down to depth .: total variation",
    drafter_checks.draws_what_it_states,
)
class StatesTheUntrimmedLaw(ModelDrafter):
    """Draws from the trimmed law and verifies with the untrimmed one."""

    def propose(self, key, params, state, target):
        draft, after = super().propose(key, params, state, target)
        untrimmed = dataclasses.replace(self.sampling, top_k=0)
        plain = ModelDrafter(self.model, self.growth, untrimmed)
        return restated(plain, draft, params, state), after


@planted(
    "drops drafts: whether the children of node 0 are there depends on what was drawn",
    drafter_checks.states_one_law,
)
class DropsTheUnlikely(ModelDrafter):
    """Takes back a draft because its q is low."""

    def propose(self, key, params, state, target):
        draft, after = super().propose(key, params, state, target)
        tree = draft.topology
        q = draft.q[jnp.maximum(tree.parents, ROOT), draft.tokens]
        likely = (q > 0.3).at[ROOT].set(True)
        likely = likely & likely[jnp.maximum(tree.parents, ROOT)]
        tree = dataclasses.replace(tree, active=jnp.asarray(tree.active) & likely)
        return dataclasses.replace(draft, topology=tree), after


@planted(
    "draws other drafts than it states, down to depth 2: .* or one draw is used twice",
    drafter_checks.draws_what_it_states,
)
class SharesADraw(ModelDrafter):
    """Draws the children of all parents of a level once; its q hangs on depth alone."""

    def propose(self, key, params, state, target):
        params = jax.tree.map(lambda table: jnp.broadcast_to(table[:1], table.shape), params)
        draft, after = super().propose(key, params, state, target)
        tokens = draft.tokens.at[4].set(draft.tokens[3])  # full:2,1
        return dataclasses.replace(draft, tokens=tokens), after


@planted(
    "draws other drafts than it states",
    drafter_checks.draws_what_it_states,
)
class StatesTheLawOfAnotherCache(ModelDrafter):
    """Drafts on one cache, and states the laws on another, which is empty."""

    def propose(self, key, params, state, target):
        draft, after = super().propose(key, params, state, target)
        empty = jax.tree.map(jnp.zeros_like, state.cache)
        own = state._replace(cache=empty, recent=state.recent.at[0].set(NO_TOKEN))
        return restated(self, draft, params, own), after


@planted(
    "the target's law at node .* is not that of its path",
    drafter_checks.the_target_does_not_see_it,
)
class ProbeAmongTheAncestors(ModelDrafter):
    """Hangs the drafts below a probe, which the target then sees and a walk does not."""

    def propose(self, key, params, state, target):
        draft, after = super().propose(key, params, state, target)
        tree = draft.topology
        parents = np.array([NO_NODE, 0, 1, 1, 2])
        children = np.array([[2, NO_NODE], *[[NO_NODE] * 2] * 4])
        active = np.array([True, False, True, False, False])
        probed = dataclasses.replace(
            tree,
            parents=parents,
            depth=np.array([0, 1, 2, 2, 3]),
            children=children,
            active=active,
        )
        return dataclasses.replace(draft, topology=probed), after


@planted(
    "draws other drafts than it states",
    drafter_checks.draws_what_it_states,
)
class StatesTheLastLaws(ModelDrafter):
    """States the laws of the step before."""

    def init(self, params, prompt, length, rows, seen):
        state = super().init(params, prompt, length, rows, seen)
        size = self.topology.nodes, self.model.vocabulary
        return state, jnp.full(size, 1 / self.model.vocabulary)

    def propose(self, key, params, state, target):
        inner, last = state
        draft, after = super().propose(key, params, inner, target)
        return dataclasses.replace(draft, q=last), (after, draft.q)

    def observe(self, state, draft, scores, verdict):
        inner, last = state
        return super().observe(inner, draft, scores, verdict), last

    def learned(self, state):
        return ()


@planted(
    "states a stale q: after 3 steps",
    drafter_checks.states_the_law_of_its_text,
)
class ReadsAnotherToken(ModelDrafter):
    """Takes another token for the last but one; each q is the law of its draw."""

    def observe(self, state, draft, scores, verdict):
        after = super().observe(state, draft, scores, verdict)
        other = (after.recent[0] + 1) % self.model.vocabulary
        return after._replace(recent=after.recent.at[0].set(other))


@planted(
    "emits other texts than the target: total variation",
    drafter_checks.emits_the_law_of_the_target,
)
@register
class BonusFromTheRawLaw(Traversal):
    """Draws the token after a walk without a rejection from softmax of the raw logits."""

    temperature = 0.4

    def walk(self, uniforms, draft, p):
        leaves = ~jnp.any(jnp.asarray(draft.topology.children) != NO_NODE, 1)
        raw = p**self.temperature
        raw = raw / jnp.sum(raw, 1, keepdims=True)
        return super().walk(uniforms, draft, jnp.where(leaves[:, None], raw, p))
