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
# # Measured against theory on a pair of models
#
# The embedded byte-level pair is small, and it is real: a target and a draft trained on text. Every rule of a scheme judges the same
# drafts at the same contexts, and what it accepts is held to its exact expectation and to alpha\*.

# %%
# %matplotlib inline
import json
from pathlib import Path

from rich.console import Console

import experiments
from experiments import compare

RESULTS = Path(experiments.__file__).parent / "results"

# %% [markdown]
# A short run: two drafts at a node, two rules.

# %%
content = compare.run(
    compare.Config(pair="bytes", rules=("kseq", "recursive_rejection"), n=(2,), contexts=256)
)
compare.show(content, Console(width=110))

# %% [markdown]
# Single acceptances may lie above alpha\*: only expectations are bounded. So the table's verdict holds the expectation to alpha\* at every
# context, and the measured mean to the expectation with a stated chance of error.
#
# ## The stored run, all rules
#
# `specjax compare` takes a minute or two; this is what it draws.

# %%
stored = json.loads((RESULTS / "compare-bytes.json").read_text())
compare.plot(stored)

# %% [markdown]
# The same on SmolLM2-135M, whose draft is the model's own first layers (`make smollm2`, then `specjax compare --pair smollm2`):

# %%
compare.plot(json.loads((RESULTS / "compare-smollm2.json").read_text()))
