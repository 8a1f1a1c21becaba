"""Parts of the target on a cache of their own: `own:skip:14`.

What was skipped never shaped the past that such a draft reads: its law is not that of `skip:14`.
"""

from specjax.models import drafts
from specjax.models._base import Pair
from specjax.models.on_target import OnTarget


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft has a cache of its own.

    Raises:
      ValueError: the text names no draft that reads the target's cache.
    """
    made = drafts.load(text, pair)
    if not isinstance(made.draft, OnTarget):
        raise ValueError("expected a draft on the target's cache, such as skip:3")
    return made._replace(draft=made.draft.model)
