# ---
# jupyter:
#   jupytext:
#     notebook_metadata_filter: -jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write your own rule, and break it
#
# A rule is a conditional law: given the drafts, the target law p and the draft law q, the law of the token that is emitted. It is one
# class in one file.

# %%
import tempfile
from pathlib import Path

from rich.console import Console

from experiments import audit

folder = Path(tempfile.mkdtemp())

RULE = '''
import jax.numpy as jnp
from specjax.numerics import acceptance_probability, add_at, residual
from specjax.rules import Claims, register


@register
class AnyDraft:
    """Picks a live draft at random and runs the one-draft rule on it."""

    claims = Claims(lossless=True, drafting=frozenset({"iid"}), optimal_for=1)

    def law(self, tokens, p, q, mask):
        pick = mask / jnp.maximum(mask.sum(), 1)
        accepted = pick * acceptance_probability(p[tokens], q[tokens])
        return jnp.where(mask.any(), add_at(residual(p, q) * (1 - accepted.sum()), tokens, accepted), p)
'''


def try_rule(name, text):
    path = folder / f"{name}.py"
    path.write_text(text)
    audit.show(audit.run(audit.Config((str(path),), n=(1, 2))), Console(width=110))


# %% [markdown]
# The audit enumerates every tuple of drafts and every mask on thirty pairs of laws. Nothing is sampled: TV is the exact distance of what
# is emitted from p.

# %%
try_rule("any_draft", RULE)

# %% [markdown]
# ## Break it
#
# Surely it is better to pick the draft with the largest p/q. But the pick's law then is no longer q, and the rule emits something else
# than p:

# %%
BEST = "pick = jnp.zeros(len(tokens), p.dtype).at[jnp.argmax(jnp.where(mask, p[tokens] / q[tokens], -1))].set(1)"
try_rule("best_draft", RULE.replace("pick = mask / jnp.maximum(mask.sum(), 1)", BEST))

# %% [markdown]
# The commonest slip of released decoders: after a rejection the token comes from p, not from the residual (p - q)+.

# %%
try_rule("from_p", RULE.replace("residual(p, q)", "p"))

# %% [markdown]
# And a rule that is right for independent drafts, run on drafts without replacement: the second draft does not have law q.

# %%
try_rule("wrong_scheme", RULE.replace('{"iid"}', '{"without_replacement"}'))

# %% [markdown]
# A mask that is ignored does harm only where a slot was not drawn; the audit masks every slot in turn.

# %%
try_rule(
    "blind",
    RULE.replace(
        "pick = mask / jnp.maximum(mask.sum(), 1)", "pick = jnp.ones(len(tokens)) / len(tokens)"
    ),
)
