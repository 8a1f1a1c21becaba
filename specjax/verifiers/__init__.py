"""Verifiers: how a whole draft tree is accepted, one in each file."""

import jax
import numpy as np

from specjax._registry import Registry
from specjax.trees import Draft, Topology, Verdict
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._report import NodeReport, node_report, node_reports, node_rule, visited
from specjax.verifiers._retarget import Retarget
from specjax.verifiers.block import Block
from specjax.verifiers.greedy_multi_path_block import GreedyMultiPathBlock
from specjax.verifiers.layer import Layer
from specjax.verifiers.top_down import TopDown
from specjax.verifiers.traversal import Traversal
from specjax.verifiers.typical_path import TypicalPath

# tokens to trace a verifier with: not as many as a uniform has words, so that one is not taken for
# the other
SOME = 3
VERIFIERS: Registry[Verifier] = Registry(__name__, "verifier", "verify", files=True)
names, get, all = VERIFIERS.names, VERIFIERS.get, VERIFIERS.all


def check_covers(verifier: Verifier, scheme: str, topology: Topology) -> None:
    """Refuse a tree outside a verifier's proof.

    For a verifier that lifts a node rule, the caller checks the rule's claims. Other errors of the
    law are not caught. Other errors of the walk are left to the caller who runs it.

    Args:
      verifier: any verifier.
      scheme: name of the drafting scheme.
      topology: the tree.

    Raises:
      ValueError: the claims do not cover the scheme, the law refuses the tree, or the walk takes
        uniforms of one word.

    Example:
      >>> from specjax import trees, verifiers
      >>> verifiers.check_covers(verifiers.Block(), "iid", trees.chain(3))
    """
    if node_rule(verifier) is None:
        check_scheme(verifier.name, verifier.claims, scheme)

    def law(tokens: jax.Array, p: jax.Array, q: jax.Array) -> jax.Array:
        return verifier.law(Draft(topology, tokens, q, scheme), p)

    rows = np.zeros((topology.nodes, SOME), np.float32)
    tokens = np.zeros(topology.nodes, np.int32)
    jax.eval_shape(law, tokens, rows, rows)
    if callable(getattr(verifier, "walk", None)):
        _check_walk(verifier, scheme, topology, tokens, rows)


def _check_walk(
    verifier: Verifier,
    scheme: str,
    topology: Topology,
    tokens: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Refuse a walk that takes uniforms [N + 1]; uniforms have two words."""

    def walks(words: tuple[int, ...]) -> bool:
        def walk(uniforms: jax.Array, tokens: jax.Array, p: jax.Array, q: jax.Array) -> Verdict:
            return verifier.walk(uniforms, Draft(topology, tokens, q, scheme), p).verdict

        uniforms = np.zeros((topology.nodes + 1, *words), np.float32)
        try:
            verdict = jax.eval_shape(walk, uniforms, tokens, rows, rows)
        except Exception:
            return False
        steps = (topology.height + 1,)
        return tuple(jax.tree.map(np.shape, verdict)) == (steps, (), steps)

    if not walks((2,)) and walks(()):
        raise ValueError(
            f"verifier {verifier.name}: its walk takes uniforms [N + 1]; they now have two words, "
            "[N + 1, 2]: draw tokens with "
            "numerics.draw(law, uniforms[i]), toss coins with numerics.coin(uniforms[i], chance), "
            "make them with numerics.uniforms"
        )


__all__ = [
    "Block",
    "GreedyMultiPathBlock",
    "Layer",
    "NodeReport",
    "Retarget",
    "TopDown",
    "Traversal",
    "TypicalPath",
    "Verifier",
    "Walk",
    "all",
    "check_covers",
    "get",
    "names",
    "node_report",
    "node_reports",
    "node_rule",
    "register",
    "visited",
]


def __dir__() -> list[str]:
    return sorted(__all__)
