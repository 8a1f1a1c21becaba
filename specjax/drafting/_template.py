"""One line: how the drafts are drawn. Copy to specjax/drafting/<name>.py; its joint law goes to
theory/drafting/<name>.py.
"""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Template(Drafting):
    """One true sentence. Which slots are masked, and when. Cost. Source."""

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        """(tokens[n], mask[n]): the drafts in slot order, and which slots were drawn; the mask may
        depend on q, never on the draws.
        """
        return jax.vmap(draw, (None, 0))(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)
