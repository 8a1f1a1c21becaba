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
# # Couplings: drafts and token without communication
#
# A rule of speculative sampling reads the drafts and their law q. So the text hangs on the draft model, if only by chance. A *coupling*
# lets nothing pass between the two sides but the noise of a shared seed. With it the drafter draws n drafts from q, and the target its
# token from p. A *hit* is a token that is among the drafts.
#
# Both laws are kept exactly, and another draft model leaves the text as it is. What does it cost that nobody talks? alpha\* is the most
# that a lossless rule can reach that reads the drafts, drawn independently.

# %%
# %matplotlib inline
import functools
import inspect
import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import theory
from specjax import bounds, couplings
from specjax.models import pairs
from specjax.numerics import Sampling
from specjax.trees import chain

for make in couplings.all():
    print(f"{make.name:12} {inspect.getdoc(make).splitlines()[0]} [{make.source}]")

# %% [markdown]
# All share their noise in the sense of a race: every token arrives at a random time, early if its probability is large, and the first one
# is taken. Here is what is measured of each, and what it is held to.

# %%
KEY, DRAWS = jax.random.key(0), 4096


class Row(typing.NamedTuple):
    """A coupling with n drafts at C pairs of laws, [C] each: measured, by theory, alpha*."""

    n: int
    name: str
    hits: np.ndarray
    stated: np.ndarray
    best: np.ndarray


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def measured(coupling, p, q, n, draws):
    """The share of hits at each of C pairs [C, V]."""

    def hit(key, p, q):
        drafts, token = coupling.couple(key, p, q, n)
        return jnp.any(drafts == token)

    at_one = jax.vmap(hit, (0, None, None))
    keys = jax.random.split(KEY, (len(p), draws))
    return jax.lax.map(lambda pair: at_one(*pair).mean(), (keys, p, q))


def stated(make, p, q, n):
    """The hit rate of one draft, by its formula; of more drafts a lower bound."""
    formula = getattr(theory.couplings, make.name)
    more = () if make.n_range[1] == 1 else (n,)
    laws = np.stack([p, q], 1).astype(np.float64)
    return np.array([formula(*pair / pair.sum(1, keepdims=True), *more) for pair in laws])


@functools.partial(jax.jit, static_argnums=2)
def optimum(p, q, n):
    """alpha* of n independent drafts at each pair."""
    return jax.vmap(lambda p, q: bounds.optimal_acceptance(p, q, n, "iid"))(p, q)


def study(p, q, draws=DRAWS):
    """A row for each n and each coupling that takes n drafts."""
    rows = []
    for n in (1, 2, 4):
        best = np.asarray(optimum(p, q, n))
        for make in couplings.all():
            low, high = make.n_range
            if low <= n and (high is None or n <= high):
                hits = np.asarray(measured(make(), p, q, n, draws))
                rows.append(Row(n, make.name, hits, stated(make, p, q, n), best))
    return rows


def show(rows):
    """The means over the pairs."""
    print(f"{'n':3}{'coupling':14}{'hits':>8}{'by theory':>12}{'alpha*':>9}")
    for n, name, *columns in rows:
        hits, said, best = (column.mean() for column in columns)
        print(f"{n:<3}{name:14}{hits:8.4f}{'' if n == 1 else '>= ':>6}{said:.4f}{best:9.4f}")


# %% [markdown]
# ## One pair of laws
#
# With one draft the formula is the hit rate itself, with more it lies below. 4096 draws leave a standard error of at most .008.

# %%
p, q = jnp.array([[0.5, 0.3, 0.2]]), jnp.array([[0.2, 0.3, 0.5]])
show(study(p, q))

# %% [markdown]
# And the token does not hang on the drafter: with the same seeds and a flat q, every token is the same.


# %%
def tokens(coupling, q):
    """The token of each seed."""
    keys = jax.random.split(KEY, DRAWS)
    return jax.vmap(lambda key: coupling.couple(key, p[0], q, 1)[1])(keys)


for make in couplings.all():
    changed = tokens(make(), q[0]) != tokens(make(), jnp.full(3, 1 / 3))
    print(f"{make.name:12} {changed.sum()} of {DRAWS} tokens change")

# %% [markdown]
# ## From equal laws to distant ones
#
# p falls along a vocabulary of 16, and q moves in a straight line from p to its reverse. Dots are measured. Coloured lines are theory's:
# the rate itself for one draft, a lower bound for more.

# %%
LOOKS = dict(zip(couplings.names(), itertools.cycle("osv^D<>"), strict=False))


def figure_of(p, q, rows, mark):
    """Hit rates against TV, a panel for each n; alpha* and what theory says are drawn by mark."""
    tv = np.abs(p - q).sum(1) / 2
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    drafts = list(dict.fromkeys(row.n for row in rows))
    panels = dict(zip(drafts, figure.subplots(1, len(drafts), sharey=True), strict=True))
    for place, row in enumerate(rows):
        panel = panels[row.n]
        style = {"color": f"C{couplings.names().index(row.name)}", "mfc": "none"}
        panel.plot(tv, row.best, f"k{mark}", label=None if place else "alpha*")
        panel.plot(tv, row.stated, mark, color=style["color"])
        panel.plot(tv, row.hits, LOOKS[row.name], label=row.name, **style)
        panel.set(title=f"n = {row.n}", xlabel="TV(p, q)")
    first, far = panels[drafts[0]], np.linspace(0, tv.max())
    first.plot(far, (1 - far) / (1 + far), ":", color="0.5", label="(1 - TV) / (1 + TV)")
    first.set_ylabel("P(the token is among the drafts)")
    first.legend(frameon=False, fontsize="small")
    return figure


falling = 0.7 ** np.arange(16)
falling /= falling.sum()
steps = np.linspace(0, 1, 9)[:, None]
p = np.tile(falling, (len(steps), 1)).astype(np.float32)
q = ((1 - steps) * falling + steps * falling[::-1]).astype(np.float32)
figure_of(p, q, study(p, q, draws=2048), "-")

# %% [markdown]
# The figure says: with one draft Gumbel noise stays close to alpha\* and MinHash does not; with more drafts silence costs most at middle
# distances. At n = 1 list sampling is the Gumbel coupling, so their dots coincide. The dotted line is proven for Gumbel noise and MinHash.

# %% [markdown]
# ## Real contexts
#
# The embedded pair of byte models reads the start of a held-out text, and every eighth byte gives a context. Tokens below a hundredth of
# the largest probability are cut by min-p. The table holds means over the contexts;
# 512 draws leave a standard error of up to .022 at a single one.

# %%
pair = pairs.load("bytes")
text = jnp.array(pair.tokenizer.encode(pair.prompts[0])[:64])


def laws(model, params):
    """The laws of what follows every eighth byte."""
    scores = model.score(params, model.init(0, len(text)), text, chain(len(text) - 1))
    return np.asarray(Sampling(min_p=0.01).law(scores.logits)[7::8])


p, q = laws(pair.target, pair.target_params), laws(pair.draft, pair.draft_params)
rows = study(p, q, draws=512)
show(rows)

# %%
figure_of(p, q, rows, "_")

# %% [markdown]
# The figure says: on real contexts one draft loses little without communication, and two lose most, since alpha\* of two is already
# near 1. Dashes are alpha\* (black) and theory (coloured), each at a context.
