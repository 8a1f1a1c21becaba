"""Trees grown level by level while drafting. One scheme per file; the law of its trees is
theory/growth/<name>.py.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from specjax._registry import Registry, load_file, parts
from specjax._types import Claims
from specjax.drafting import from_one_law
from specjax.trees.growth._base import (
    SEQUENTIAL,
    Grown,
    Level,
    TreeDrafting,
    blank,
    grown,
    register,
)
from specjax.trees.growth._fixed import Fixed
from specjax.trees.growth.beam import Beam
from specjax.trees.growth.best_first import BestFirst
from specjax.trees.growth.paths import Paths
from specjax.trees.growth.sampled_best_first import SampledBestFirst
from specjax.trees.topology import Topology
from specjax.trees.topology import parse as parse_fixed

TREES: Registry[TreeDrafting] = Registry(__name__, "tree scheme", "expand")
names, get, all = TREES.names, TREES.get, TREES.all
_NODE = {SEQUENTIAL: "without_replacement"}


def drafting(tree: Topology | TreeDrafting, scheme: str) -> TreeDrafting:
    """The tree as something that grows: a fixed one draws its children by `scheme`; a grown one
    brings its own, which must be that.

    Raises:
      ValueError: it is not.
    """
    if isinstance(tree, Topology):
        return Fixed(tree, scheme)
    if scheme not in (tree.scheme, _NODE.get(tree.scheme)):
        raise ValueError(
            f"scheme: {tree.name} draws {_NODE.get(tree.scheme, tree.scheme)}, got {scheme}"
        )
    return tree


def parse(text: str, scheme: str) -> TreeDrafting:
    """The tree named by `chain:D`, `star:N`, `full:b1,b2,..`, or by a tree scheme and its sizes:
    `beam:8x4` is 8 wide and 4 deep.

    A scheme is also named by the path of a file like those in this folder:
    `path/to/my_tree.py:8x4`.

    Raises:
      ValueError: the text is none of these, or `scheme` is not how the tree's nodes are drawn.
    """
    kind, numbers = _split(text)
    if kind not in names() and not kind.endswith(".py"):
        return drafting(parse_fixed(text), scheme)
    make = (
        get(kind)
        if kind in names()
        else _from_file(kind, Path(kind).stat().st_mtime_ns if Path(kind).is_file() else 0)
    )
    sizes = [int(size) if size.isdecimal() else 0 for size in numbers.split("x")] if numbers else []
    fields = [field.name for field in parts(make)]
    if len(sizes) != len(fields) or min(sizes, default=1) < 1:
        raise ValueError(
            f"tree: expected {kind}:{'x'.join(field.upper() for field in fields)} with numbers >= "
            f"1, got {text!r}"
        )
    return drafting(_made(make, sizes), scheme)


def drawable(text: str) -> dict[str, TreeDrafting]:
    """The tree of a name, as `parse` reads it, under every scheme that it can be drawn by, in the
    order of preference.

    Raises:
      ValueError: there is no such tree.
    """
    found: dict[str, TreeDrafting] = {}
    for scheme in from_one_law():
        try:
            found[scheme] = parse(text, scheme)
        except ValueError as error:
            complaint = error
    if not found:
        raise complaint
    return found


def _made(make: Callable[..., TreeDrafting], sizes: list[int]) -> TreeDrafting:
    """A tree, whose parts are seen not to fail.

    Raises:
      ValueError: one does.
    """
    try:
        tree: TreeDrafting = make(*sizes)
        hash((tree, tree.scheme, tree.widths, tree.topology))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"tree scheme {getattr(make, '__name__', make)}: raises {type(error).__name__}: {error}"
        ) from error
    return tree


def _split(text: str) -> tuple[str, str]:
    """What kind of tree, and its numbers."""
    path, suffix, numbers = text.rpartition(".py")
    if suffix and numbers[:1] in ("", ":"):
        return path + suffix, numbers[1:]
    kind, _, numbers = text.partition(":")
    return kind, numbers


@functools.lru_cache
def _from_file(path: str, changed: int) -> type:
    """The scheme in a file, loaded once for each time that it changed: trees of one name are equal,
    and share their programs.

    Raises:
      ValueError: the file defines no tree scheme, or one that lacks a part.
    """
    make = TREES.of(load_file(path))
    lacking = [
        part
        for part in ("scheme", "widths", "topology", "start", "finish")
        if not hasattr(make, part)
    ]
    if lacking:
        raise ValueError(
            f"{path}: expected a tree scheme with scheme, widths, topology, start, expand and "
            f"finish, it has no {lacking[0]}"
        )
    return make


def node_scheme(name: str, claims: Claims, scheme: str) -> str:
    """The drafting scheme that the claims of a rule or verifier must cover at a node of a tree
    drawn by `scheme`.

    Args:
      name: what the message calls it.
    Raises:
      ValueError: how many drafts there are tells something of them, and the claims are not those of
        one that takes them one by one.
    """
    if scheme == SEQUENTIAL and not claims.sequential:
        raise ValueError(
            f"{name}: expected one that takes its drafts one by one: in this tree their number "
            "depends on them"
        )
    return _NODE.get(scheme, scheme)


__all__ = [
    "SEQUENTIAL",
    "Beam",
    "BestFirst",
    "Fixed",
    "Grown",
    "Level",
    "Paths",
    "SampledBestFirst",
    "TreeDrafting",
    "all",
    "blank",
    "drafting",
    "drawable",
    "get",
    "grown",
    "names",
    "node_scheme",
    "parse",
    "register",
]


def __dir__() -> list[str]:
    return sorted(__all__)
