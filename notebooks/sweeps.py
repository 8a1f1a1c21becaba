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
# # A sweep across devices, and its figures
#
# A sweep is a grid in a file. Each cell is computed once, in any number of shards, on any number of devices, and ends in one table. Here
# one CPU stands for eight devices; on a machine with accelerators the first lines are not needed.

# %%
# %matplotlib inline
import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import tempfile
from pathlib import Path

import jax
from rich.console import Console

from experiments import merge, plot, status, sweep

folder, console = Path(tempfile.mkdtemp()), Console(width=110)
jax.device_count()

# %% [markdown]
# ## The grid
#
# The laws come from families whose answer is known; `pair = "bytes"` would measure a pair of models instead.

# %%
(folder / "grid.toml").write_text("""
[[grid]]
family = "log_normal:noise=1"
vocabulary = 256
rule = ["kseq", "optimal", "recursive_rejection"]
n = [1, 2, 4]
temperature = [0.5, 1.0, 2.0]
contexts = 64
""")
config = sweep.Config(folder / "grid.toml", folder / "cells")
sweep.show(sweep.run(config), console)

# %% [markdown]
# Run again, it finds everything done. On a cluster each job would take `--shard i/n`; no number depends on how the cells were dealt out.

# %%
sweep.show(sweep.run(config), console)
status.show(status.run(status.Config(folder / "cells")), console)
merge.show(merge.run(merge.Config(folder / "cells", folder / "merged.parquet")), console)

# %% [markdown]
# ## Its figures
#
# `specjax plot merged.parquet --kind KIND`; `specjax report` puts all of them on one page.

# %%
plot.plot(plot.run(plot.Config(folder / "merged.parquet", "acceptance", ("temperature=1",))))

# %%
plot.plot(plot.run(plot.Config(folder / "merged.parquet", "phase")))

# %% [markdown]
# Rules saw the same laws, so their differences are paired; the intervals come from drawing the contexts again.

# %%
differences = plot.run(plot.Config(folder / "merged.parquet", "differences", ("temperature=1",)))
plot.show(differences, console)
plot.plot(differences)
