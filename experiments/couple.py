"""The hit rates of couplings without communication, against the optimum with it.

A coupling draws drafts and token from shared noise: neither side sees the other's law. Its hit rate
is the probability that the token is among the drafts. What theory states of it is exact for one
draft, and a lower bound for more. alpha* of independent drafts is what verification could reach.
"""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import NDArray
from rich.console import Console

import theory
from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows
from experiments.cli.tables import MEANING, Table, number, with_error
from experiments.inputs import context_laws, sampling_options
from experiments.inputs.sampling_options import SamplingOptions
from experiments.stats.means import mean
from specjax import bounds, couplings
from specjax._types import Law, RandomKey
from specjax.couplings import Coupling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOGETHER = 64  # draws side by side


@dataclasses.dataclass(frozen=True)
class Config(SamplingOptions):
    """The laws.

    Attributes:
      target: p as a vector of V probabilities, or the target's logits [T, V] (.npy, .npz,
        .safetensors); or a Hugging Face folder or GGUF file with the target model.
      draft: q likewise; or, beside a model, another one or layers of the target: exit:4, skip:3,7.
      n: numbers of drafts.
      contexts: at most so many rows of the files, spread evenly.
      draws: of the noise, at every context.
      seed: of the noise.
    """

    target: Path
    draft: Path
    n: tuple[int, ...] = (1, 2, 4)
    contexts: int = 32
    draws: int = 1024
    seed: int = 0


class Row(TypedDict):
    """A coupling with n drafts: means over the contexts.

    Attributes:
      hit: the measured hit rate; with one context its error is that of the draws.
      stated: what theory says: the rate itself for one draft, a lower bound for more; nan where it
        says nothing.
      alpha_star: the optimum of n independent drafts.
      overlap: 1 - TV(p, q).
    """

    coupling: str
    n: int
    contexts: int
    vocabulary: int
    hit: float
    hit_se: float
    stated: float
    alpha_star: float
    overlap: float


def run(config: Config) -> Rows[Row]:
    """One row per n and coupling that takes n drafts.

    Raises:
      ValueError: files that hold no laws of the same contexts, n < 1, or draws < 2.
    """
    if min(config.n, default=0) < 1 or config.draws < 2:
        raise ValueError(f"expected n >= 1 and draws >= 2, got {config.n} and {config.draws}")
    key = seeds.key(config.seed)
    laws = context_laws.load(
        config.target, config.draft, sampling_options.of(config), config.contexts
    )
    asked = [(n, make) for n in config.n for make in couplings.all() if _takes(make, n)]
    rows = [
        _row(make, n, laws, key, config.draws)
        for n, make in track(asked, f"{len(laws.p)} contexts, V = {laws.p.shape[1]}")
    ]
    return {"rows": rows, "provenance": provenance(config)}


def _takes(make: type[Coupling], n: int) -> bool:
    low, high = make.n_range
    return low <= n and (high is None or n <= high)


def _row(
    make: type[Coupling],
    n: int,
    laws: context_laws.Laws,
    key: RandomKey,
    draws: int,
) -> Row:
    found = [
        _hits(make(), jax.random.fold_in(key, context), p, q, n, -(-draws // TOGETHER))
        for context, (p, q) in enumerate(zip(*laws, strict=True))
    ]
    stated = [_stated(make, p, q, n) for p, q in zip(*laws, strict=True)]
    rates = np.array([float(hits.mean()) for hits in found])
    one = mean(np.asarray(found[0], np.float64)) if len(rates) == 1 else mean(rates)
    optima = jax.vmap(lambda p, q: bounds.optimal_acceptance(p, q, n, "iid"))(laws.p, laws.q)
    return {
        "coupling": make.name,
        "n": n,
        "contexts": len(rates),
        "vocabulary": laws.p.shape[1],
        "hit": one.value,
        "hit_se": one.error,
        "stated": float(np.mean(stated)),
        "alpha_star": float(optima.mean()),
        "overlap": float(jax.vmap(bounds.overlap)(jnp.asarray(laws.p), jnp.asarray(laws.q)).mean()),
    }


@functools.partial(jax.jit, static_argnames=("coupling", "n", "times"))
def _hits(
    coupling: Coupling,
    key: RandomKey,
    p: Law,
    q: Law,
    n: int,
    times: int,
) -> Float[Array, " draws"]:
    """Whether the token is among the drafts, draw by draw."""

    def hit(key: RandomKey) -> Array:
        drafts, token = coupling.couple(key, p, q, n)
        return jnp.any(drafts == token).astype(p.dtype)

    keys = jax.random.split(key, times * TOGETHER)
    hits: Array = jax.lax.map(hit, keys, batch_size=TOGETHER)
    return hits


def _stated(make: type[Coupling], p: NDArray[np.float32], q: NDArray[np.float32], n: int) -> float:
    """What theory says of a hit."""
    formula = getattr(theory.couplings, make.name, None)
    if formula is None:
        return np.nan
    laws = [law.astype(np.float64) / law.sum(dtype=np.float64) for law in (p, q)]
    return float(formula(*laws) if make.n_range[1] == 1 else formula(*laws, n))


def show(content: Rows[Row], console: Console) -> None:
    """One line per n and coupling."""
    table = Table(("n", "coupling", "hit", "by theory", "alpha*", "1 - TV"), names=2)
    for row in content["rows"]:
        sign = "" if row["n"] == 1 else ">= "
        said = number(row["stated"])
        table.add(
            str(row["n"]),
            row["coupling"],
            with_error(row["hit"], row["hit_se"]),
            said if said == "-" else sign + said,
            number(row["alpha_star"]),
            number(row["overlap"]),
        )
    console.print(table)
    console.print(f"{MEANING}: over contexts, or over draws if there is one")


def plot(content: Rows[Row]) -> "Figure":
    """Hit rates against n, and the optimum."""
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    title = f"{rows[0]['contexts']} contexts, V = {rows[0]['vocabulary']}"
    figure, (panel,) = style.panels(1, title)
    for name in dict.fromkeys(row["coupling"] for row in rows):
        mine = [row for row in rows if row["coupling"] == name]
        ns, hits, errors = zip(
            *[(row["n"], row["hit"], row["hit_se"]) for row in mine], strict=True
        )
        panel.errorbar(
            ns,
            hits,
            2 * np.array(errors),
            marker="o",
            capsize=2,
            color=style.colour(name),
            label=name,
        )
    best = {row["n"]: row["alpha_star"] for row in rows}
    panel.plot(list(best), list(best.values()), "k--", label="alpha* iid")
    panel.set_xlabel("drafts n")
    panel.set_ylabel("P(the token is among the drafts)")
    style.legend(figure, 2)
    return figure
