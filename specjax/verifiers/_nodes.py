"""One node of a drawn tree, as a rule sees it."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Index, Law, Mask, Tokens
from specjax.numerics import is_duplicate
from specjax.trees import NO_NODE, Draft

PerSlot = Float[Array, " W"]


class Node(NamedTuple):
    """What a rule sees at a node.

    Attributes:
      tokens: [W], the drafts below the node.
      mask: [W], which drafts are live.
      children: [W], the node to which each live draft leads; N at other slots.
    """

    tokens: Tokens
    mask: Mask
    children: Int[Array, " W"]


def node_view(draft: Draft, node: Index) -> Node:
    """What a rule sees at a node of a drawn tree."""
    topology = draft.topology
    active = jnp.asarray(topology.active)
    children = jnp.asarray(topology.children)[node]
    mask = (children != NO_NODE) & active[children]
    tokens = jnp.where(mask, draft.tokens[children], 0)
    return Node(tokens, mask, jnp.where(mask, children, topology.nodes))


def first_hit(view: Node, token: Index) -> tuple[Bool[Array, ""], Index]:
    """Whether `token` is one of the drafts, and the slot of the first that equals it."""
    hits = view.mask & (view.tokens == token)
    return jnp.any(hits), jnp.argmax(hits)


def draft_mass(view: Node, law: Law) -> PerSlot:
    """The mass of the law on each draft; of equal drafts the first holds all of it."""
    first = view.mask & ~is_duplicate(view.tokens, view.mask)
    return jnp.where(first, law[view.tokens], 0)
