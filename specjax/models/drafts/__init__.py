"""What a target can draft with beside another model: one kind in each file.

A file that is dropped into this folder can be named on the command line: `--draft KIND:TEXT`. It
has a function `draft(pair, text) -> Pair`, which puts its draft model into the pair.
"""

import importlib

from specjax._registry import public
from specjax.models._base import Pair

_NAMES = public(__path__)


def names() -> tuple[str, ...]:
    """The kinds, sorted; a kind has the name of its file."""
    return _NAMES


def named(text: str) -> bool:
    """Whether a text names a draft of one of these kinds: `skip:3,7`.

    Example:
      >>> from specjax.models import drafts
      >>> drafts.named("skip:3,7"), drafts.named("path/to/model")
      (True, False)
    """
    return text.partition(":")[0] in _NAMES


def load(text: str, pair: Pair) -> Pair:
    """The pair with another draft model.

    Args:
      text: a kind of draft, and behind a colon what it is to be.
      pair: target and a draft model.

    Returns:
      The pair.

    Raises:
      ValueError: there is no such kind, or it does not know the text or the target.
    """
    kind, _, rest = text.partition(":")
    if not named(text):
        raise ValueError(f"draft {text}: expected a draft of kind {', '.join(_NAMES)}")
    module = importlib.import_module(f"{__name__}.{kind}")
    try:
        made: Pair = module.draft(pair, rest)
    except ValueError as error:
        raise ValueError(f"draft {text}: {error}") from error
    return made
