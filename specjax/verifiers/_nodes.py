"""One node of a drawn tree, as a rule sees it."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Law, Mask, Tokens
from specjax.numerics import is_duplicate
from specjax.trees import NO_NODE, Draft


class Node(NamedTuple):
    """What a rule sees of node i: the drafts below it, which are live, and the nodes they lead
    to.
    """

    tokens: Tokens
    mask: Mask
    children: Int[Array, " W"]


def node_view(draft: Draft, node: Int[Array, ""]) -> Node:
    """The drafts below a node."""
    topology = draft.topology
    children = jnp.asarray(topology.children)[node]
    mask = (children != NO_NODE) & jnp.asarray(topology.active)[children]
    return Node(jnp.where(mask, draft.tokens[children], 0), mask, children)


def first_hit(view: Node, token: Int[Array, ""]) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """Whether `token` is one of the drafts, and the slot of the first that equals it."""
    hits = view.mask & (view.tokens == token)
    return jnp.any(hits), jnp.argmax(hits)


def draft_mass(view: Node, law: Law) -> Float[Array, " W"]:
    """Mass of the law on each draft; of equal drafts the first holds it all."""
    return jnp.where(view.mask & ~is_duplicate(view.tokens, view.mask), law[view.tokens], 0)
