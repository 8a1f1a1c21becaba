"""Drafting schemes: how the n drafts of a node are drawn from q. One scheme per file; its joint law is theory/drafting/<name>.py."""

from specjax._registry import discover, find, registered
from specjax.drafting._base import Drafting, register

_SCHEMES = {name: registered(module, "sample")() for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files."""
    return tuple(_SCHEMES)


def get(name: str) -> Drafting:
    """The scheme called `name`.

    Raises:
      ValueError: there is no such scheme.
    """
    return find(_SCHEMES, "drafting scheme", name)


__all__ = ["Drafting", "get", "names", "register"]
