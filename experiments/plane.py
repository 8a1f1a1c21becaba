"""Lossy rules on the exact plane of acceptance against bias, beside the most that any rule accepts.

The front is exact: no rule accepts more at the same TV, KL or other f-divergence. At one price for
all contexts the mean acceptance is largest at its mean KL; one KL or one TV in every context
accepts less. A repaired rule is the lossless one, overruled by the rule: it accepts no less, at no
more TV. None of the rules is lossless.
"""

import dataclasses
import itertools
from typing import TYPE_CHECKING, TypedDict

import jax
import numpy as np
from rich.console import Console

from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Record, numeric
from experiments.cli.tables import MEANING, Table, number, with_error
from experiments.decoding import pair_laws
from experiments.enumeration import one_draft, plane_points
from experiments.inputs import named_verifiers, sampling_options
from experiments.inputs.sampling_options import SamplingOptions
from experiments.ladders import plane_rows
from experiments.ladders.plane_rows import FrontRow, HalvedRow, Row
from specjax import rules
from specjax.models import pairs
from specjax.rules import Rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND = (
    "A: acceptance. TV, KL: how far the emitted law lies from p; KL in nats per token.\n"
    "eff.: (A - alpha*) / TV, at most 1. fixed: the lossless rule, overruled by this one.\n"
    "best: the least KL of any rule that accepts as much as the fixed one."
)
PARTLY = (
    f"The least likely drafts, of {one_draft.LEFT:g} together, are left to the lossless rule: A "
    "and TV\nare off by so much at most, and what they would add to KL is missing."
)
SPENT = {"same_price": "price", "same_kl": "KL", "same_tv": "TV"}
WAYS = " or ".join(SPENT.values())
BELOW, ABOVE, BEYOND = 0.6, 0.04, 1.5  # of what lossless rules reject, and of the front's reach
LOOKS = dict(zip(SPENT, ("-", "--", ":"), strict=True))


@dataclasses.dataclass(frozen=True)
class Config(SamplingOptions):
    """Which rules, and at which contexts.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`; --target and --draft may also be files of laws or logits.
      n: numbers of independent drafts.
      rules: names or .py files; the lossy ones if not given.
      scale: multiples of the first number among a rule's fields.
      kl: in nats, what each context may lose.
      contexts: so many in all, in texts that the target draws; or rows of the files.
      seed: of these draws.
    """

    pair: str = "bytes"
    n: tuple[int, ...] = (1, 2, 4)
    rules: tuple[str, ...] = ()
    scale: tuple[float, ...] = (0.5, 1.0, 2.0)
    kl: tuple[float, ...] = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    contexts: int = 256
    seed: int = 0


class Content(TypedDict):
    """The tables."""

    pair: str
    rows: list[Row]
    front: list[FrontRow]
    halved: list[HalvedRow]
    provenance: Record


def run(config: Config) -> Content:
    """The rows of every rule and setting, those of the front, and those of halved rejections.

    Raises:
      ValueError: a number out of its range, an unknown rule, or laws that cannot be used.
      RuntimeError: a rule accepts more than any rule can at its bias.
    """
    if min(config.n, default=0) < 1 or min(config.kl, default=0.0) <= 0.0:
        raise ValueError(f"expected n >= 1 and kl > 0, got {config.n} and {config.kl}")
    makes = [_rule(name) for name in config.rules or _lossy()]
    sampling = sampling_options.of(config)
    laws = pair_laws.load(config.pair, sampling, seeds.key(config.seed), config.contexts)
    what = f"{len(laws.p)} contexts, V = {laws.p.shape[1]}"
    planes = [plane_rows.of_laws(laws, n) for n in track(config.n, f"front, {what}")]
    asked = []
    for plane in planes:
        admitted = [make for make in makes if make.claims.admits(plane.n)]
        for make in admitted:
            asked += [(plane, one) for one in plane_points.settings(make, config.scale)]
    with jax.enable_x64(True):
        rows = [plane_rows.row(plane, setting) for plane, setting in track(asked, f"rules, {what}")]
    budgets = list(itertools.product(planes, config.kl))
    shared = track(budgets, f"budgets, {what}")
    front = [plane_rows.front_row(plane, budget) for plane, budget in shared]
    return {
        "pair": pairs.label(config.pair),
        "rows": rows,
        "front": front,
        "halved": [plane_rows.halved(plane) for plane in planes],
        "provenance": provenance(config),
    }


def _lossy() -> list[str]:
    lossy = [make for make in rules.all() if not make.claims.lossless]
    return [make.name for make in lossy if not hasattr(make, "seeing")]  # no laws without evidence


def _rule(name: str) -> type[Rule]:
    make: type[Rule] = named_verifiers.find(name)
    if named_verifiers.is_verifier(make) or plane_points.SCHEME not in make.claims.drafting:
        raise ValueError(f"{name}: expected a rule for independent drafts")
    return make


def show(content: Content, console: Console) -> None:
    """The rules for each n, the front at equal mean KL, and what halving the rejections costs."""
    for place in content["halved"]:
        n = place["n"]
        rows = [row for row in content["rows"] if row["n"] == n]
        console.print(f"{_title(content)}, n = {n}: alpha* {number(place['alpha_star'])}")
        if rows:
            console.print(_rules_table(rows))
    console.print(LEGEND)
    if content["rows"][0]["vocabulary"] > one_draft.WHOLE:
        console.print(PARTLY)
    console.print()
    for row in content["rows"]:
        if row["stated_kl"] is not None:
            console.print(said_of_budget(row))
    console.print(f"\nthe front: mean acceptance at one mean KL, with one {WAYS} in every context")
    console.print(_front_table(content["front"]))
    for halved in content["halved"]:
        console.print(said_of_halved(halved))
    console.print(f"{MEANING} over contexts")


def said_of_budget(row: Row) -> str:
    """The emitted KL of a rule against the budget that it names."""
    kl = _nats(row["kl"], row["infinite"])
    return (
        f"{_name(row)}: emitted KL {kl} against its stated {row['stated_kl']:g}, above it at "
        f"{100 * row['beyond']:.1f} % of contexts"
    )


def said_of_halved(row: HalvedRow) -> str:
    """What halving the rejections costs."""
    lost = 1 - row["alpha_star"]
    if row["rejected"] > lost / 2 + 1e-6:
        return f"n = {row['n']}: no finite KL halves the rejections, {number(lost)}"
    return (
        f"n = {row['n']}: halving the rejections, {number(lost)} to {number(row['rejected'])}, "
        f"costs {with_error(row['kl'], row['kl_se'])} nats a token at the price "
        f"{number(row['price'], 2)}"
    )


def _title(content: Content) -> str:
    row = content["rows"][0]
    return f"{content['pair']}, {row['contexts']} contexts, V = {row['vocabulary']}"


def _name(row: Row) -> str:
    return f"{row['rule']} {row['setting']}".strip()


def _nats(value: float | None, infinite: float | None) -> str:
    """A mean KL; stored rows hold no infinite numbers."""
    return "inf" if infinite else number(value)


def _rules_table(rows: list[Row]) -> Table:
    heads = ("rule", "A", "TV", "KL", "eff.", "fixed A", "TV", "KL", "best")
    table = Table(heads)
    for row in rows:
        table.add(
            _name(row),
            with_error(row["accepted"], row["accepted_se"]),
            number(row["tv"]),
            _nats(row["kl"], row["infinite"]),
            number(row["efficiency"], 2),
            number(row["repaired"]),
            number(row["repaired_tv"]),
            _nats(row["repaired_kl"], row["repaired_infinite"]),
            _nats(row["best_kl"], row["best_infinite"]),
        )
    return table


def _front_table(rows: list[FrontRow]) -> Table:
    table = Table(("n", "mean KL", "price", *(f"same {way}" for way in SPENT.values())))
    for before, row in zip([None, *rows], rows, strict=False):
        if before and (before["n"], before["kl"]) == (row["n"], row["kl"]):
            continue  # all contexts are at the end of their front
        table.add(
            str(row["n"]),
            number(row["kl"]),
            number(row["price"], 2),
            with_error(row["same_price"], row["same_price_se"]),
            with_error(row["same_kl"], row["same_kl_se"]),
            with_error(row["same_tv"], row["same_tv_se"]),
        )
    return table


def plot(content: Content) -> "Figure":
    """For each n acceptance against TV, with the line, and against KL, with the front.

    A rule that loses far more acceptance than lossless ones stands in the tables alone.
    """
    from experiments.figures import style  # needs the extra `plots`

    held = content["halved"]
    figure, (above, below) = style.board(2, len(held), _title(content), 4.0)
    for place, of_tv, of_kl in zip(held, above, below, strict=True):
        optimum = place["alpha_star"]
        front = [row for row in content["front"] if row["n"] == place["n"]]
        rows = [row for row in content["rows"] if row["n"] == place["n"]]
        of_tv.plot([0, 1 - optimum, 1], [optimum, 1, 1], "k-", label="alpha* + TV, the most")
        for way, look in LOOKS.items():
            points = [(0.0, optimum), *((row["kl"], numeric(row, way)) for row in front)]
            of_kl.plot(*zip(*points, strict=True), f"k{look}", label=f"front, same {SPENT[way]}")
        for name in dict.fromkeys(row["rule"] for row in rows):
            mine = [row for row in rows if row["rule"] == name]
            _plot_rule(of_tv, "tv", mine, style.colour(name))
            _plot_rule(of_kl, "kl", mine, style.colour(name))
        for panel in (of_tv, of_kl):
            panel.set_ylim(max(0.0, optimum - BELOW * (1 - optimum)), 1 + ABOVE * (1 - optimum))
        of_tv.set_xlim(0, BEYOND * (1 - optimum))
        of_kl.set_xlim(0, BEYOND * max(row["kl"] for row in front))
        of_tv.set_title(f"n = {place['n']}")
        of_tv.set_xlabel("TV(e, p)")
        of_kl.set_xlabel("KL(e || p), nats")
    above[0].set_ylabel("acceptance, mean over contexts")
    below[0].set_ylabel("acceptance, mean over contexts")
    style.legend(figure, 5)
    return figure


def _plot_rule(panel: "Axes", column: str, rows: list[Row], colour: str) -> None:
    """The settings of a rule; what is infinite has no place."""
    points = [(numeric(row, column), numeric(row, "accepted")) for row in rows]
    known = [point for point in points if np.isfinite(point).all()]
    if known:
        places = zip(*known, strict=True)
        panel.plot(*places, "o", color=colour, label=rows[0]["rule"])
