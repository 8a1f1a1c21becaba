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
# # Upper bounds of optimal acceptance
#
# How many of n drafts can *any* lossless rule accept? The answer, alpha\*, is the value of a transport problem. Here it comes from a linear
# program, from its dual (a formula over sets of tokens) and from the search that works at a vocabulary of 128k.

# %%
# %matplotlib inline
import json
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import experiments
import theory
from experiments import bound, worst_ratio
from specjax import bounds

RESULTS = Path(experiments.__file__).parent / "results"

# %% [markdown]
# ## One pair of laws, three ways to the optimum
#
# The program's value comes with a coupling, a plan that a rule could follow, so it is attained; and with a set H, a price that no rule can
# beat. `gap` is what lies between the two.

# %%
p, q, n = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]), 2
problem = theory.Problem(p, q, n, "iid")
program, formula = theory.lp.solve(problem), theory.subsets.optimum(problem)
fast = bounds.optimal_acceptance(jnp.asarray(p), jnp.asarray(q), n, "iid")
print(
    f"linear program {program.value:.6f}, gap {program.gap:.1e}, H = {np.flatnonzero(program.subset)}"
)
print(
    f"formula        {formula.value:.6f}, specjax {fast:.6f}, one draft {bounds.overlap(jnp.asarray(p), jnp.asarray(q)):.6f}"
)

# %% [markdown]
# How the drafts are drawn changes what can be accepted of them:

# %%
for scheme in ("iid", "without_replacement", "greedy", "top_n"):
    optima = [theory.lp.solve(theory.Problem(p, q, n, scheme)).value for n in (1, 2, 3)]
    print(f"{scheme:20}", " ".join(f"{value:.4f}" for value in optima))

# %% [markdown]
# ## The ladder of many contexts
#
# `specjax bound` takes logits of the same contexts from two files. These are made up: a target, and a draft that hears it through noise.

# %%
folder = Path(tempfile.mkdtemp())
target, noise = jax.random.normal(jax.random.key(0), (2, 64, 1000))
np.save(folder / "target.npy", 3 * target)
np.save(folder / "draft.npy", 3 * target + 1.5 * noise)
config = bound.Config(
    folder / "target.npy", folder / "draft.npy", n=(1, 2), rules=("kseq", "optimal")
)
study = bound.run(config)
bound.plot(study)

# %%
bound.show(study, Console(width=110))

# %% [markdown]
# ## How far can a rule fall below the optimum?
#
# Searched over all pairs of laws, from the stored rows of `specjax worst_ratio`:

# %%
worst_ratio.plot(json.loads((RESULTS / "worst_ratio.json").read_text()))
