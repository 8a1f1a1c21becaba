"""The best draft law: how q's temperature, its top-k, top-p or min-p truncation, and a free change
of it move the optimum on real contexts.

A free change has a formula. For n iid drafts alpha* >= a says q(S) <= (p(S) + 1 - a)^(1/n) for all
S: q lies in the base polytope of a submodular function, and the total variation from q to such a
polytope is the largest excess of q(S) over the function. Hence

- the laws at which alpha* = 1 are the base polytope of p(S)^(1/n). Its vertices: for an order of
  the tokens, the q of which the last of n draws in that order has law p, whose distribution
  function is the n-th root of p's; q = p is inside. From q they are max_S [q(S) - p(S)^(1/n)] away
  in total variation;
- the largest alpha* within total variation d of q is 1 + min_H [p(H) - (q(H) - d)+^n], for n = 1 it
  is min(1, 1 - TV(p, q) + d).

Both H are prefixes of the tokens sorted by p/q, as q(H) enters through a convex function and p(H)
through a concave one.
"""

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from numpy.typing import NDArray
from rich.console import Console

from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows, numeric
from experiments.cli.tables import Table, interval, number
from experiments.decoding.paired import check_status
from experiments.stats import means
from experiments.stats.means import Values, clustered_mean
from specjax import bounds, decode, rules
from specjax._types import Law, Scalar
from specjax.models import LanguageModel, pairs
from specjax.models.on_target import OnTarget
from specjax.numerics import AS_IS, Sampling
from specjax.trees import chain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOGETHER = 16  # contexts side by side
SHOWN = 1e-4  # less than that is not drawn
SCHEMES = ("iid", "without_replacement")
LOOKS = dict(zip(SCHEMES, ("-", "--"), strict=True))
STUDIES = {
    "temperature": "temperature of q",
    "top_k": "tokens kept of q",
    "top_p": "nucleus of q",
    "min_p": "least share of q's largest probability",
    "budget": "total variation from q, freely spent (iid)",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What to draft with.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`.
      n: numbers of drafts.
      temperature: of q, that of p stays 1.
      top_k: how many of q's most likely tokens are kept.
      top_p: nucleus of q; like each of these settings it is changed alone, so no order matters.
      min_p: the least share of q's largest probability that is kept.
      budget: total variation by which q may be changed freely.
      contexts: tokens drawn from the target after each prompt; what stands before each of them is a
        context.
      seed: of these draws.
    """

    pair: str = "bytes"
    n: tuple[int, ...] = (1, 2, 4, 8)
    temperature: tuple[float, ...] = (
        0.2,
        0.4,
        0.6,
        0.8,
        0.9,
        1.0,
        1.1,
        1.2,
        1.3,
        1.4,
        1.5,
        1.6,
        1.8,
        2.0,
        2.5,
        3.0,
    )
    top_k: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    top_p: tuple[float, ...] = ()
    min_p: tuple[float, ...] = ()
    budget: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
    contexts: int = 32
    seed: int = 0


class Contexts(NamedTuple):
    """Logits [B, C, V] of C contexts in each of B texts; `used` [B, C] is false once a text has
    ended.
    """

    target: NDArray[np.float32]
    draft: NDArray[np.float32]
    used: NDArray[np.bool_]


class Row(TypedDict):
    """A mean over the contexts with its interval, and its gain over q as it is.

    Attributes:
      study: one of STUDIES, or "distance".
      value: of the setting that is studied; None for a distance.
      alpha_star, distance: the mean, of the study `distance` under that name.
    """

    pair: str
    study: str
    scheme: str
    n: int
    value: float | None
    alpha_star: NotRequired[float]
    distance: NotRequired[float]
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    contexts: int


def run(config: Config) -> Rows[Row]:
    """One row per study, scheme, n and value: the mean alpha* over the contexts, and its gain over
    q as it is.

    Raises:
      ValueError: a setting out of its range, or a pair that cannot be used.
    """
    if min(config.n, default=0) < 1 or min(config.top_k, default=1) < 1 or config.contexts < 1:
        raise ValueError(f"expected n, top_k and contexts >= 1, got {config}")
    if min(config.budget, default=0) < 0:
        raise ValueError(f"budget: expected numbers >= 0, got {config.budget}")
    variants = [("temperature", t, Sampling(t)) for t in config.temperature]
    variants += [("top_k", k, Sampling(top_k=k)) for k in config.top_k]
    variants += [("top_p", share, Sampling(top_p=share)) for share in config.top_p]
    variants += [("min_p", share, Sampling(min_p=share)) for share in config.min_p]
    contexts = read(config)
    p = _laws(contexts.target)
    q = _laws(contexts.draft)
    cells = list(itertools.product(SCHEMES, config.n))
    row = functools.partial(_row, pairs.label(config.pair), contexts.used)
    rows: list[Row] = []
    plain = {(scheme, n): _optimum(p, q, n, scheme) for scheme, n in cells}
    for study, value, sampling in track(variants, config.pair):
        changed = _laws(contexts.draft, sampling)
        for scheme, n in cells:
            best = _optimum(p, changed, n, scheme)
            rows.append(row(study, scheme, n, value, best, plain[scheme, n]))
    for n in config.n:
        as_is = within(p, q, n, 0.0)
        for budget in config.budget:
            rows.append(row("budget", "iid", n, budget, within(p, q, n, budget), as_is))
        rows.append(row("distance", "iid", n, None, distance(p, q, n), distance(p, q, 1)))
    return {"rows": rows, "provenance": provenance(config)}


def read(config: Config) -> Contexts:
    """Logits of both models in the texts that follow the pair's held-out prompts, drawn from the
    target, each read in one forward.

    Raises:
      ValueError: a model gave no law.
    """
    pair = pairs.load(config.pair)
    prompts, lengths = decode.padded(decode.encoded(pair, pair.prompts, config.contexts))
    decoder = decode.decoder(pair, chain(1), "iid")
    verifier = decode.verifier(rules.get("single")(), "iid", chain(1))
    params = decode.Params(pair.target_params, pair.draft_params)
    size = prompts.shape[1] + config.contexts
    models = ((pair.target, pair.target_params), (pair.draft, pair.draft_params))
    target: list[Array] = []
    draft: list[Array] = []
    used: list[Array] = []
    ends: list[Array] = []
    for index, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        key = jax.random.fold_in(seeds.key(config.seed), index)
        text = decode.decode(decoder, verifier, key, params, prompt, length, config.contexts)
        ends.append(text.status)
        positions = length - 1 + jnp.arange(config.contexts)
        for model, rows in zip(models, (target, draft), strict=True):
            rows.append(_logits(*model, text.tokens[:size], positions))
        used.append(positions + 1 < text.length)
    check_status(jnp.stack(ends))
    return Contexts(np.stack(target), np.stack(draft), np.stack(used))


@functools.partial(jax.jit, static_argnums=0)
def _logits(
    model: LanguageModel, params: PyTree, tokens: Int[Array, " P"], positions: Int[Array, " C"]
) -> Float[Array, "C V"]:
    """Logits of what follows some positions of a text."""
    if isinstance(model, OnTarget):
        logits: Float[Array, "T 1 V"] = model.along(params, tokens)
        return logits[positions, 0]
    return model.score(params, model.init(len(tokens), 0), tokens, chain(len(tokens) - 1)).logits[
        positions
    ]


def _laws(logits: NDArray[np.float32], sampling: Sampling = AS_IS) -> Values:
    return np.asarray(sampling.law(jnp.asarray(logits)), np.float64)


def _optimum(p: Values, q: Values, n: int, scheme: str) -> Values:
    """alpha* [B, C], in float32 as all that runs beside a model."""
    texts = zip(p.astype(np.float32), q.astype(np.float32), strict=True)
    return np.stack([_optima(*text, n, scheme) for text in texts]).astype(float)


@functools.partial(jax.jit, static_argnames=("n", "scheme"))
def _optima(
    p: Float[Array, "C V"], q: Float[Array, "C V"], n: int, scheme: str
) -> Float[Array, " C"]:
    def optimum(pair: tuple[Law, Law]) -> Scalar:
        p, q = pair
        return bounds.optimal_acceptance(p, q, n, scheme)

    optima: Array = jax.lax.map(optimum, (p, q), batch_size=TOGETHER)
    return optima


def within(p: Values, q: Values, n: int, budget: float) -> Values:
    """The largest alpha* of n iid drafts from any law within total variation `budget` of q. Cost: a
    sort of V.
    """
    p_mass, q_mass = _prefixes(p, q)
    slack = p_mass - np.maximum(q_mass - budget, 0) ** n
    alpha_star: Values = 1 + np.minimum(slack.min(-1), 0)
    return alpha_star


def distance(p: Values, q: Values, n: int) -> Values:
    """The total variation from q to the nearest law of which n iid drafts reach alpha* = 1. Cost: a
    sort of V.
    """
    p_mass, q_mass = _prefixes(p, q)
    excess = q_mass - p_mass ** (1 / n)
    away: Values = np.maximum(excess.max(-1), 0)
    return away


def _prefixes(p: Values, q: Values) -> tuple[Values, Values]:
    """p(H) and q(H) of the prefixes H of the tokens sorted by p/q, over the last axis."""
    ratio = np.divide(p, q, out=np.full_like(p, np.inf), where=q > 0)
    order = np.argsort(np.where(p > 0, ratio, 0), -1)
    return _mass(p, order), _mass(q, order)


def _mass(law: Values, order: NDArray[np.intp]) -> Values:
    return np.minimum(np.cumsum(np.take_along_axis(law, order, -1), -1), 1)


def _row(
    pair: str,
    used: NDArray[np.bool_],
    study: str,
    scheme: str,
    n: int,
    value: float | None,
    values: Values,
    as_is: Values,
) -> Row:
    """Means over contexts with their 95 % intervals, the contexts of one text taken as one cluster;
    the gain is paired.
    """
    mean = clustered_mean(values, used)
    gain = clustered_mean(values - as_is, used)
    width = means.reach(1, max(len(used), 2))
    row: Row = {
        "pair": pair,
        "study": study,
        "scheme": scheme,
        "n": n,
        "value": value,
        "alpha_star": mean.value,
        "distance": mean.value,
        "low": mean.value - width * mean.error,
        "high": mean.value + width * mean.error,
        "gain": gain.value,
        "gain_low": gain.value - width * gain.error,
        "gain_high": gain.value + width * gain.error,
        "contexts": int(used.sum()),
    }
    if study == "distance":
        del row["alpha_star"]
    else:
        del row["distance"]
    return row


def best(rows: list[Row]) -> list[Row]:
    """For each study of a setting, scheme and n the row of largest alpha*."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        if row["study"] not in ("budget", "distance"):
            held = found.get(_cell(row), row)
            found[_cell(row)] = max(held, row, key=lambda row: row["alpha_star"])
    return list(found.values())


def _cell(row: Row) -> tuple[str, str, int]:
    return row["study"], row["scheme"], row["n"]


def show(content: Rows[Row], console: Console) -> None:
    """The best settings; and what a free change of q is worth."""
    rows = content["rows"]
    console.print(
        f"{rows[0]['pair']}: the best draft law among those tried, {rows[0]['contexts']} contexts, "
        "95 % intervals"
    )
    chosen = Table(
        ("of q", "scheme", "n", "best", "alpha*", "interval", "gain over q as it is", "interval"), 2
    )
    for row in best(rows):
        chosen.add(
            row["study"],
            row["scheme"],
            str(row["n"]),
            f"{row['value']:g}",
            number(row["alpha_star"]),
            interval(row["low"], row["high"]),
            number(row["gain"], sign="+"),
            interval(row["gain_low"], row["gain_high"], sign="+"),
        )
    console.print(chosen)
    console.print(
        "iid, q changed freely: alpha* at best within a budget of total variation from q; distance "
        "of the laws with alpha* = 1"
    )
    spent = [row for row in rows if row["study"] == "budget"]
    needed = [row for row in rows if row["study"] == "distance"]
    free = Table(("budget", *(f"n = {row['n']}" for row in needed)))
    for budget in dict.fromkeys(row["value"] for row in spent):
        cells = (number(row["alpha_star"]) for row in spent if row["value"] == budget)
        free.add(f"{budget:g}", *cells)
    free.add_section()
    free.add("distance", *(number(row["distance"]) for row in needed))
    free.add("interval", *(interval(row["low"], row["high"]) for row in needed))
    console.print(free)


def plot(content: Rows[Row]) -> "Figure":
    """1 - alpha* against each setting with its interval, a colour for each n; iid drafts solid,
    without replacement dashed.
    """
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    studied = {row["study"] for row in rows}
    shown = [study for study in STUDIES if study in studied]
    title = f"{rows[0]['pair']}: what the best rule misses, {rows[0]['contexts']} contexts (95 %)"
    figure, axes = style.panels(len(shown), title)
    ns = list(dict.fromkeys(row["n"] for row in rows))
    for study, panel in zip(shown, axes, strict=True):
        for (scheme, look), n in itertools.product(LOOKS.items(), ns):
            line = [row for row in rows if _cell(row) == (study, scheme, n)]
            _plot_line(panel, line, f"C{ns.index(n)}", look)
        panel.set_xlabel(STUDIES[study])
        panel.set_yscale("log")
        if study == "top_k":
            panel.set_xscale("log", base=2)
    axes[0].set_ylabel("1 - alpha*, mean over contexts")
    for index, n in enumerate(ns):
        style.entry(axes[0], f"n = {n}", f"C{index}", "o")
    for scheme, look in LOOKS.items():
        style.entry(axes[0], scheme, line=look)
    style.legend(figure, len(ns) + len(LOOKS))
    return figure


def _plot_line(panel: "Axes", line: list[Row], colour: str, look: str) -> None:
    x = [numeric(row, "value") for row in line]
    values = [(row["alpha_star"], row["low"], row["high"]) for row in line]
    missed, above, below = np.maximum(1 - np.reshape(values, (-1, 3)).T, SHOWN)
    panel.plot(x, missed, color=colour, linestyle=look, marker="o")
    panel.fill_between(x, below, above, color=colour, alpha=0.12)
