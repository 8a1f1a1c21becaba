"""Trees that grow level by level while drafting, one scheme in each file.

The law of the trees of a scheme is in theory/growth/<name>.py.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path

from specjax._registry import Registry, load_file
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
    """The tree as an object that grows.

    A fixed tree draws its children by `scheme`. A tree that grows has a scheme of its own, which
    must be `scheme`.

    Args:
      tree: a fixed tree, or one that grows.
      scheme: name of the drafting scheme.

    Returns:
      The tree as a `TreeDrafting`.

    Raises:
      ValueError: the tree draws by another scheme.

    Example:
      >>> from specjax import trees
      >>> trees.growth.drafting(trees.full(2, 2), "iid").widths
      (1, 2, 4)
    """
    if isinstance(tree, Topology):
        return Fixed(tree, scheme)
    if scheme not in (tree.scheme, _NODE.get(tree.scheme)):
        raise ValueError(
            f"scheme: {tree.name} draws {_NODE.get(tree.scheme, tree.scheme)}, got {scheme}"
        )
    return tree


def parse(text: str, scheme: str) -> TreeDrafting:
    """The tree named as `trees.parse` reads it, or by a tree scheme and its sizes.

    `beam:8x4` is the scheme `beam`, 8 wide and 4 deep. A scheme is also named by the path of a file
    like those in this folder: `path/to/my_tree.py:8x4`.

    Args:
      text: the name of a tree.
      scheme: name of the drafting scheme.

    Returns:
      The tree as a `TreeDrafting`.

    Raises:
      ValueError: the text has none of these forms, or the tree draws by another scheme.

    Example:
      >>> from specjax import trees
      >>> trees.growth.parse("beam:3x2", "without_replacement").widths
      (1, 3, 3)
    """
    kind, numbers = _split(text)
    if kind not in names() and not kind.endswith(".py"):
        return drafting(parse_fixed(text), scheme)
    make = get(kind) if kind in names() else _from_file(kind, _changed(kind))
    sizes = [int(size) if size.isdecimal() else 0 for size in numbers.split("x") if numbers]
    fields = [name.upper() for name in inspect.signature(make).parameters]
    if len(sizes) != len(fields) or min(sizes, default=1) < 1:
        raise ValueError(
            f"tree: expected {kind}:{'x'.join(fields)} with numbers >= 1, got {text!r}"
        )
    return drafting(_made(make, sizes), scheme)


def drawable(text: str) -> dict[str, TreeDrafting]:
    """The tree of a name under every scheme that can draw it, in order of preference.

    Args:
      text: the name of a tree, as `parse` reads it.

    Returns:
      The trees by the names of the schemes.

    Raises:
      ValueError: there is no such tree.

    Example:
      >>> from specjax import trees
      >>> list(trees.growth.drawable("paths:2x2"))
      ['iid']
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
    """Make a tree, and check that its attributes do not fail.

    Raises:
      ValueError: one fails.
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
    """Split a name into the kind of tree and its numbers."""
    path, suffix, numbers = text.rpartition(".py")
    if suffix and numbers[:1] in ("", ":"):
        return path + suffix, numbers[1:]
    kind, _, numbers = text.partition(":")
    return kind, numbers


def _changed(path: str) -> int:
    """When a file changed, in nanoseconds; 0 if there is none."""
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else 0


@functools.lru_cache
def _from_file(path: str, changed: int) -> Callable[..., TreeDrafting]:
    """The scheme in a file, loaded once for each change of the file.

    Trees of one name are therefore equal, and share their programs.

    Raises:
      ValueError: the file defines no tree scheme, or one that lacks a part.
    """
    make = TREES.of(load_file(path))
    needed = ("scheme", "widths", "topology", "start", "finish")
    lacking = [part for part in needed if not hasattr(make, part)]
    if lacking:
        raise ValueError(
            f"{path}: expected a tree scheme with scheme, widths, topology, start, expand and "
            f"finish, it has no {lacking[0]}"
        )
    return make


def node_scheme(name: str, claims: Claims, scheme: str) -> str:
    """The drafting scheme that claims must cover at a node of a tree.

    Args:
      name: the name of the rule or verifier in an error message.
      claims: the claims of the rule or verifier.
      scheme: the scheme that draws the tree.

    Returns:
      The name of a drafting scheme.

    Raises:
      ValueError: the number of drafts depends on the drafts, and the claims are not `sequential`.

    Example:
      >>> from specjax import rules, trees
      >>> claims = rules.RecursiveRejectionWithoutReplacement.claims
      >>> trees.growth.node_scheme("rule", claims, trees.growth.SEQUENTIAL)
      'without_replacement'
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
