"""One line: how the drafts are drawn. Copy this file to specjax/drafting/<name>.py.

The joint law of the scheme goes to theory/drafting/<name>.py.
"""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Template(Drafting):
    """One true sentence: what is drawn.

    State which slots are masked, and when.

    Cost: passes over V. Source: key in references.bib.
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        """The drafts in slot order, tokens[n], and which slots were drawn, mask[n].

        The mask may depend on q, but never on the draws.
        """
        return jax.vmap(draw, (None, 0))(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)
