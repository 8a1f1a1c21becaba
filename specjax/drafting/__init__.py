"""Drafting schemes: how the n drafts of a node are drawn from q, one scheme in each file.

The joint law of a scheme is in theory/drafting/<name>.py.
"""

from specjax._registry import Registry
from specjax._types import Claims
from specjax.drafting._base import Drafting, register
from specjax.drafting.greedy import Greedy
from specjax.drafting.hub import Hub
from specjax.drafting.iid import Iid
from specjax.drafting.independent import Independent
from specjax.drafting.top_n import TopN
from specjax.drafting.without_replacement import WithoutReplacement

SCHEMES: Registry[Drafting] = Registry(__name__, "drafting scheme", "sample")
names, get, all = SCHEMES.names, SCHEMES.get, SCHEMES.all
# the public order; schemes dropped in later follow
PREFERRED = ("iid", "without_replacement", "greedy", "hub", "top_n")


def from_one_law() -> tuple[str, ...]:
    """The names of the schemes that draft from one law q, in order of preference.

    Example:
      >>> from specjax import drafting
      >>> drafting.from_one_law()[:2]
      ('iid', 'without_replacement')
    """
    others = [name for name in names() if name not in (*PREFERRED, "independent")]
    return (*PREFERRED, *others)


def first(claims: Claims) -> str | None:
    """The preferred scheme among those that a rule's proof covers.

    Args:
      claims: the claims of a rule or verifier.

    Returns:
      The name of the scheme; None if the proof covers no scheme that drafts from one law.

    Example:
      >>> from specjax import drafting, rules
      >>> drafting.first(rules.Greedy.claims)
      'greedy'
    """
    return next((scheme for scheme in from_one_law() if scheme in claims.drafting), None)


__all__ = [
    "Drafting",
    "Greedy",
    "Hub",
    "Iid",
    "Independent",
    "TopN",
    "WithoutReplacement",
    "all",
    "first",
    "from_one_law",
    "get",
    "names",
    "register",
]


def __dir__() -> list[str]:
    return sorted(__all__)
