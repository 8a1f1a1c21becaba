"""Under which drafting scheme a rule is taken where nobody names one, and which a tree can be drawn by."""

from specjax import decode, drafting
from specjax._types import Claims, Rule
from specjax.trees import TreeDrafting, growth
from specjax.verifiers import Verifier

PREFERRED = ("iid", "without_replacement", "greedy", "hub", "top_n")  # the public order; schemes dropped in later follow


def from_one_law() -> tuple[str, ...]:
    """The schemes that draft from one law q, in the order of preference."""
    others = [name for name in drafting.names() if name not in (*PREFERRED, "independent")]
    return (*PREFERRED, *others)


def first(claims: Claims) -> str | None:
    """The preferred scheme of those that a rule's proof covers; None if it covers none that drafts from one law."""
    return next((scheme for scheme in from_one_law() if scheme in claims.drafting), None)


def drawable(tree: str) -> dict[str, TreeDrafting]:
    """The tree of a name, as `specjax.trees.growth.parse` reads it, under every scheme that it can be drawn by, in the order of preference.

    Raises:
      ValueError: there is no such tree.
    """
    found: dict[str, TreeDrafting] = {}
    for scheme in from_one_law():
        try:
            found[scheme] = growth.parse(tree, scheme)
        except ValueError as error:
            complaint = error
    if not found:
        raise complaint
    return found


def taken(judge: Rule | Verifier, tree: str) -> str:
    """The first scheme of a tree that a judge's claims name; where they name none of them the first of all, for the reason."""
    schemes = tuple(drawable(tree))
    return next((scheme for scheme in schemes if scheme in judge.claims.drafting), schemes[0])


def refusal(judge: Rule | Verifier, trees: tuple[str, ...]) -> str:
    """Why a judge takes none of the trees, in one line; the reason is that of the first tree."""
    drawn = drawable(trees[0])[taken(judge, trees[0])]
    fits_none = f"it fits none of {', '.join(trees)}"
    try:
        decode.verifier(judge, drawn.scheme, drawn.topology)
    except ValueError as error:
        return f"{error}; {fits_none}"
    return f"{judge.name}: {fits_none}"
