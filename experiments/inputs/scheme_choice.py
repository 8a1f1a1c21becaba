"""Under which drafting scheme a rule is taken where nobody names one, and which a tree can be drawn
by.
"""

from experiments.inputs import named_verifiers
from specjax import decode
from specjax._types import Rule
from specjax.trees import growth
from specjax.verifiers import Verifier


def taken(verifier: Rule | Verifier, tree: str) -> str:
    """The first scheme of a tree that a verifier's claims name.

    If they name none, the first scheme of all, so that the caller can raise its error.
    """
    schemes = tuple(growth.drawable(tree))
    return next((scheme for scheme in schemes if scheme in verifier.claims.drafting), schemes[0])


def refusal(verifier: Rule | Verifier, trees: tuple[str, ...]) -> str:
    """Why a verifier takes none of the trees, in one line; the reason is that of the first tree."""
    drawn = growth.drawable(trees[0])[taken(verifier, trees[0])]
    fits_none = f"it fits none of {', '.join(trees)}"
    try:
        decode.verifier(verifier, drawn.scheme, drawn.topology)
    except ValueError as error:
        return f"{error}; {fits_none}"
    return f"{named_verifiers.short(verifier)}: {fits_none}"
