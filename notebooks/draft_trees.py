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
# # Draft trees and their limit
#
# A tree of drafts is verified in one call of the target. How many drafts can be accepted on it, at best? At a small vocabulary every
# tree that can be drawn is enumerated, and the joint optimum over all lossless verifiers is a linear program.

# %%
# %matplotlib inline
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import experiments
import theory
from experiments import tree_gap
from theory import tree_shapes, trees, verifiers

RESULTS = Path(experiments.__file__).parent / "results"

# %% [markdown]
# ## Verifiers on one tree, and the optimum
#
# Two children, each with two children; three tokens; a law of its own after every context. `loss` is the total variation between the
# emitted sequences and the target's.

# %%
VERIFIERS = {
    "recursive rejection, top-down": verifiers.top_down(verifiers.recursive_rejection),
    "optimal plan, top-down": verifiers.top_down(verifiers.optimal("iid")),
    "traversal": verifiers.traversal,
}


def table(parents, compared):
    drawn = trees.drawn(trees.random(parents, 3, "iid", seed=0))
    best = theory.tree_lp.solve(drawn)
    for name, verifier in compared.items():
        laws = drawn.laws(verifier)
        accepted, loss = trees.expected_accepted(drawn, laws), trees.loss(drawn, laws)
        print(
            f"{name:30} E[ell] {accepted:.4f}, {accepted / best.value:6.1%} of the optimum, loss {loss:.0e}"
        )
    print(
        f"{'joint optimum':30} E[ell] {best.value:.4f}, certified to {best.gap:.0e}, of {len(drawn.mass)} trees"
    )


table((-1, 0, 0, 1, 1, 2, 2), VERIFIERS)

# %% [markdown]
# On a single path block verification and traversal attain the optimum:

# %%
table((-1, 0, 1, 2), VERIFIERS | {"block": verifiers.block})

# %% [markdown]
# Over many trees and laws, from the stored rows of `specjax tree_gap`:

# %%
tree_gap.plot(json.loads((RESULTS / "tree_gap.json").read_text()))

# %% [markdown]
# ## What a larger tree buys
#
# If the child in slot b is accepted with a chance that depends on b alone, the best tree of every size comes from a dynamic programme.
# What it gains grows with the logarithm of its size: doubling the tree buys a constant. One path is bounded at once, by a/(1 - a).

# %%
chances = 0.6 * 0.5 ** np.arange(8)
sizes = 2 ** np.arange(1, 9)
best = tree_shapes.sequoia(chances, int(sizes[-1]), 24)
figure = Figure(figsize=(5, 3.2), layout="constrained")
panel = figure.subplots()
panel.plot(sizes - 1, [best.accepted[24, size] for size in sizes], "o-", label="best tree")
panel.plot(
    sizes - 1, [sum(0.6**d for d in range(1, size)) for size in sizes], "s-", label="one path"
)
panel.set_xscale("log", base=2)
panel.set_xlabel("drafted tokens")
panel.set_ylabel("E[ell], accepted drafts")
panel.legend(frameon=False)
figure
