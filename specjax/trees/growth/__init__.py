"""Trees grown level by level while drafting. One scheme per file; the law of its trees is theory/growth/<name>.py."""

import dataclasses

from specjax._registry import discover, find, registered
from specjax._types import Claims
from specjax.trees.growth._base import STOPPED, Grown, Level, TreeDrafting, blank, grown
from specjax.trees.growth._fixed import Fixed
from specjax.trees.topology import Topology
from specjax.trees.topology import parse as parse_fixed

_SCHEMES = {name: registered(module, "expand") for name, module in discover(__name__).items()}
_NODE = {STOPPED: "without_replacement"}


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files."""
    return tuple(_SCHEMES)


def get(name: str) -> type:
    """The scheme called `name`; its fields are its sizes.

    Raises:
      ValueError: there is no such scheme.
    """
    return find(_SCHEMES, "tree scheme", name)


def drafting(tree: Topology | TreeDrafting, scheme: str) -> TreeDrafting:
    """The tree as something that grows: a fixed one draws its children by `scheme`; a grown one brings its own, which must be that.

    Raises:
      ValueError: it is not.
    """
    if isinstance(tree, Topology):
        return Fixed(tree, scheme)
    if scheme not in (tree.scheme, _NODE.get(tree.scheme)):
        raise ValueError(f"scheme: {tree.name} draws {_NODE.get(tree.scheme, tree.scheme)}, got {scheme}")
    return tree


def parse(text: str, scheme: str) -> TreeDrafting:
    """The tree named by `chain:D`, `star:N`, `full:b1,b2,..`, or by a tree scheme and its sizes: `beam:8x4` is 8 wide and 4 deep.

    Raises:
      ValueError: the text is none of these, or `scheme` is not how the tree's nodes are drawn.
    """
    kind, _, numbers = text.partition(":")
    if kind not in _SCHEMES:
        return drafting(parse_fixed(text), scheme)
    sizes = [int(size) if size.isdecimal() else 0 for size in numbers.split("x")]
    fields = [field.name for field in dataclasses.fields(_SCHEMES[kind])]
    if len(sizes) != len(fields) or min(sizes) < 1:
        raise ValueError(f"tree: expected {kind}:{'x'.join(field.upper() for field in fields)} with numbers >= 1, got {text!r}")
    return drafting(_SCHEMES[kind](*sizes), scheme)


def node_scheme(judge: str, claims: Claims, scheme: str) -> str:
    """The drafting scheme that the claims of a rule or verifier must cover at a node of a tree drawn by `scheme`.

    Args:
      judge: what the message calls it.
    Raises:
      ValueError: how many drafts there are tells something of them, and the claims are not those of one that takes them one by one.
    """
    if scheme == STOPPED and not claims.sequential:
        raise ValueError(f"{judge}: expected one that takes its drafts one by one: in this tree their number depends on them")
    return _NODE.get(scheme, scheme)


__all__ = ["STOPPED", "Fixed", "Grown", "Level", "TreeDrafting", "blank", "drafting", "get", "grown", "names", "node_scheme", "parse"]
