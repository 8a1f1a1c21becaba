"""Verifiers: how a whole draft tree is accepted. One per file."""

import jax
import jax.numpy as jnp

from specjax._registry import discover, find_or_load, registered
from specjax.trees import Draft, Topology
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._report import NodeReport, node_rule, optimum, report
from specjax.verifiers.block import Block
from specjax.verifiers.top_down import TopDown
from specjax.verifiers.traversal import Traversal

_CLASSES = {name: registered(module, "verify") for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all verifiers, sorted: the names of their files."""
    return tuple(_CLASSES)


def get(name: str) -> type:
    """The verifier class called `name`, or the one in the Python file at that path.

    Raises:
      ValueError: there is no such verifier or file.
    """
    return find_or_load(_CLASSES, "verifier", name, "verify")


def check_covers(verifier: Verifier, scheme: str, topology: Topology) -> None:
    """Refuse a tree outside a verifier's proof. Of one that lifts a node rule, the rule's claims are the caller's to check.

    Raises:
      ValueError: its claims do not cover the scheme, or its law refuses the tree. Whatever else the law raises is not caught.
    """
    if node_rule(verifier) is None:
        check_scheme(verifier.name, verifier.claims, scheme)

    def law(tokens: jax.Array, p: jax.Array, q: jax.Array) -> jax.Array:
        return verifier.law(Draft(topology, tokens, q, scheme), p)

    rows = jax.ShapeDtypeStruct((topology.nodes, 2), jnp.float32)
    jax.eval_shape(law, jax.ShapeDtypeStruct((topology.nodes,), jnp.int32), rows, rows)


__all__ = [
    "Block",
    "NodeReport",
    "TopDown",
    "Traversal",
    "Verifier",
    "Walk",
    "check_covers",
    "get",
    "names",
    "node_rule",
    "optimum",
    "register",
    "report",
]
