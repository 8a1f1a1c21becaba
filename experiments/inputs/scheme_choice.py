"""Under which drafting scheme a rule is taken where nobody names one, and which a tree can be drawn
by.
"""

from specjax import decode
from specjax._types import Rule
from specjax.trees import growth
from specjax.verifiers import Verifier


def taken(judge: Rule | Verifier, tree: str) -> str:
    """The first scheme of a tree that a judge's claims name; where they name none of them the first
    of all, for the reason.
    """
    schemes = tuple(growth.drawable(tree))
    return next((scheme for scheme in schemes if scheme in judge.claims.drafting), schemes[0])


def refusal(judge: Rule | Verifier, trees: tuple[str, ...]) -> str:
    """Why a judge takes none of the trees, in one line; the reason is that of the first tree."""
    drawn = growth.drawable(trees[0])[taken(judge, trees[0])]
    fits_none = f"it fits none of {', '.join(trees)}"
    try:
        decode.verifier(judge, drawn.scheme, drawn.topology)
    except ValueError as error:
        return f"{error}; {fits_none}"
    return f"{judge.name}: {fits_none}"
