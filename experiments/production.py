"""What engines emit: the exact law of rules as shipped, beside the law that was asked for.

Practices are those of public code and threads, at the version or date that stands beside them. TV
is the total variation of the emitted law from the claimed one. counted is the mean number of drafts
that the practice accepts; honest is that of a lossless rule on the same drafts. All numbers are
float64 by `theory.practices` and `theory.trade_offs`.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np
from rich.console import Console

from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.cli.tables import Table, number
from experiments.inputs.law_files import Law
from theory import practices, trade_offs
from theory.practices import Emission
from theory.transport import normalised

VOCABULARY = 32000  # of the large laws
LEAST, ROUNDING = 5e-5, 1e-12  # numbers between them are shown by their power of ten
PUBLISHED = "published practice"
Pair = tuple[Law, Law]


@dataclasses.dataclass(frozen=True)
class Config:
    """There is nothing to choose."""


class Row(TypedDict):
    """A practice on a pair of laws.

    Attributes:
      source: the project, and the version or date up to which it did so.
      laws: the pair, and the settings of the practice.
      tv: total variation of the emitted law from the claimed one.
      counted: mean number of drafts that the practice accepts.
      honest: that of a lossless rule on the same drafts.
    """

    practice: str
    source: str
    claim: str
    laws: str
    tv: float
    counted: float
    honest: float


class Trade(TypedDict):
    """What a design gains and what it pays, on a pair of laws.

    Attributes:
      figures: the two sides of the trade by name.
    """

    trade: str
    source: str
    laws: str
    figures: dict[str, float]


class Content(TypedDict):
    """The two tables."""

    rows: list[Row]
    trades: list[Trade]
    provenance: Record


class Practice(NamedTuple):
    """A practice, and the laws that it is shown on.

    Attributes:
      emission: its function in `theory.practices`, which has the name of the practice.
      cases: what the function is given, by the name of the laws.
    """

    emission: Callable[..., Emission]
    source: str
    claim: str
    cases: dict[str, tuple[object, ...]]


def _law(*weights: float) -> Law:
    return normalised(np.array(weights, np.float64))


def _zipf(exponent: float) -> Law:
    return normalised(np.arange(1.0, VOCABULARY + 1) ** -exponent)


ZIPF = "Zipf"
PAIRS: dict[str, Pair] = {
    "G2": (_law(1, 2), _law(2, 1)),
    "G3": (_law(0.5, 0.3, 0.2), _law(0.2, 0.3, 0.5)),
    "G4": (_law(0.4, 0.3, 0.2, 0.1), _law(0.1, 0.2, 0.3, 0.4)),
    "G4p": (_law(0.05, 0.15, 0.3, 0.5), _law(0.7, 0.15, 0.1, 0.05)),
    "SGL": (_law(0.6, 0.2, 0.1, 0.1), _law(0.7, 0.2, 0.05, 0.05)),
    "sure": (_law(0.5, 0.3, 0.2), _law(0.7, 0.2, 0.1)),
    "pull": (_law(0.4, 0.35, 0.25), _law(0.1, 0.3, 0.6)),
    "apart": (_law(1, 0), _law(0, 1)),
    ZIPF: (_zipf(1.2), _zipf(1.0)),
}


def _on(*names: str) -> dict[str, tuple[object, ...]]:
    return {name: PAIRS[name] for name in names}


def _requests(name: str, *settings: tuple[float, float]) -> dict[str, tuple[object, ...]]:
    """The target law of a pair at a temperature and a top-p."""
    p, _ = PAIRS[name]
    return {f"{name}, T = {T:g}, top-p {m:g}": (p, T, m) for T, m in settings}


def _kept(*cases: tuple[str, float], what: str) -> dict[str, tuple[object, ...]]:
    """The pairs with the least probability of a draft that is kept."""
    return {f"{name}, {what} >= {least:g}": (*PAIRS[name], least) for name, least in cases}


REQUESTS = _requests("G4", (0.5, 0.92), (0.7, 0.92), (1.0, 0.92))
REQUESTS |= _requests(ZIPF, (0.7, 0.9), (0.6, 0.95), (1.2, 0.9))
WHOLE = _on("G3", "G4", "G4p", "SGL", ZIPF)
PRACTICES = (
    Practice(
        practices.nucleus_before_temperature,
        "tpu-inference b8692ff, 2026-08-22",
        "drafts are verified against the law of the request",
        REQUESTS,
    ),
    Practice(
        practices.bonus_from_raw_softmax,
        PUBLISHED,
        "the token after accepted drafts has the law of the request",
        REQUESTS,
    ),
    Practice(
        practices.real_law_on_fixed_draft,
        "TensorRT-LLM before 15098, 2026-06",
        "drafts ranked by q are verified as drafts drawn from q",
        WHOLE,
    ),
    Practice(
        practices.one_hot_residual_after_real_test,
        "xLLM before 2175",
        "a refused draft alone leaves the residual",
        WHOLE,
    ),
    Practice(
        practices.dropped_after_the_draw,
        PUBLISHED,
        "a drawn draft of small q may be dropped",
        _kept(("G3", 0.25), ("G4", 0.25), ("sure", 0.25), (ZIPF, 0.01), what="q"),
    ),
    Practice(
        practices.dropped_before_the_draw,
        PUBLISHED,
        "where q is flat, drafting may stop",
        _kept(("G3", 0.25), ("G4", 0.25), ("sure", 0.25), (ZIPF, 0.01), what="max q"),
    ),
    Practice(
        practices.draft_noise_for_the_residual,
        "vLLM before 54282, 2026-08-28, drafts drawn from q",
        "the noise that drew a draft may serve its position again",
        WHOLE,
    ),
    Practice(
        practices.one_uniform_for_test_and_residual,
        PUBLISHED,
        "one uniform serves a position",
        WHOLE,
    ),
    Practice(
        practices.one_coin_for_two_siblings,
        PUBLISHED,
        "one uniform serves the siblings of a node",
        _on("G4", "G4p", "pull", ZIPF),
    ),
    Practice(
        practices.uncapped_last_position,
        "HSD as released",
        "the last position takes the joint ratio min(1, P/Q)",
        _on("G2", "G3", "G4", "G4p", "SGL"),
    ),
    Practice(
        practices.equality_accepts,
        "tpu-inference b8692ff, 2026-08-22",
        "p/q >= u accepts no draft with p = 0",
        _on("apart", "G3", "G4", ZIPF),
    ),
)


def run(config: Config) -> Content:
    """The rows of every practice and of every trade-off."""
    rows = [_row(practice, laws) for practice in PRACTICES for laws in practice.cases]
    trades = [*_chains(), *_ensembles(), *_caches(), *_floors()]
    return {"rows": rows, "trades": trades, "provenance": provenance(config)}


def _row(practice: Practice, laws: str) -> Row:
    emission = practice.emission(*practice.cases[laws])
    return {
        "practice": practice.emission.__name__.replace("_", " "),
        "source": practice.source,
        "claim": practice.claim,
        "laws": laws,
        "tv": emission.tv,
        "counted": emission.counted,
        "honest": emission.honest,
    }


def _chains() -> list[Trade]:
    """Block verification on one-hot drafts."""
    found = []
    for name in ("G3", "G4", "G4p", "SGL"):
        figures = trade_offs.one_hot_chain(*PAIRS[name], 3)._asdict()
        found.append(_trade("accepted of 3 one-hot drafts", "published claim", name, figures))
    return found


def _ensembles() -> list[Trade]:
    """Verification against w p + (1 - w) q."""
    found = []
    for name, weight in itertools.product(("G3", "G4"), (0.25, 0.5, 0.75)):
        figures = trade_offs.ensemble(*PAIRS[name], weight)._asdict()
        laws = f"{name}, w = {weight:g}"
        found.append(_trade("ensemble w p + (1 - w) q", "transformers 5.23", laws, figures))
    return found


def _caches() -> list[Trade]:
    """Drafts that leave the residual to the cached tokens."""
    found = []
    for factor in (1.0, 0.5, 0.25, 0.0):
        figures = trade_offs.cached(*PAIRS["G4"], 2, factor)._asdict()
        laws = f"G4, F = 2, C = {factor:g}"
        found.append(_trade("Saguaro's draft law", "ssd, 2603.03251", laws, figures))
    return found


def _floors() -> list[Trade]:
    """The least rejection of a slot that does not see the token before."""
    found = []
    for vocabulary in (2, 3, 4):
        laws = trade_offs.copying(vocabulary, 0.9)
        alone = [trade_offs.floor(law[None], np.ones(1)) for law in laws]
        even = np.full(vocabulary, 1.0 / vocabulary)
        figures = {"blind": trade_offs.floor(laws, even), "one_before": float(np.mean(alone))}
        name = f"copies with .9, V = {vocabulary}"
        found.append(_trade("least rejection at slot 2", "specfloor, 2608.27339", name, figures))
    return found


def _trade(
    trade: str,
    source: str,
    laws: str,
    figures: dict[str, float],
) -> Trade:
    return {"trade": trade, "source": source, "laws": laws, "figures": figures}


def show(content: Content, console: Console) -> None:
    """Both tables, and the laws behind their names."""
    console.print(practice_table(content["rows"]))
    console.print()
    console.print(trade_table(content["trades"]))
    for name, pair in PAIRS.items():
        console.print(f"{name}: {_words(*pair)}", highlight=False)


def practice_table(rows: list[Row]) -> Table:
    """For each practice its source and claim, and a line for each pair of laws."""
    table = Table(("practice, laws", "TV", "counted", "honest"))
    for practice, group in itertools.groupby(rows, key=lambda row: row["practice"]):
        mine = list(group)
        table.add_section()
        table.add(f"[bold]{practice}[/]")
        table.add(f"{mine[0]['source']}: {mine[0]['claim']}")
        for row in mine:
            accepted = number(row["counted"]), number(row["honest"])
            table.add(f"  {row['laws']}", shown(row["tv"]), *accepted)
    return table


def trade_table(trades: list[Trade]) -> Table:
    """For each trade-off its source, the names of its two sides, and a line for each case."""
    table = Table(("trade-off, laws", "", ""))
    for trade, group in itertools.groupby(trades, key=lambda row: row["trade"]):
        mine = list(group)
        table.add_section()
        names = [name.replace("_", " ") for name in mine[0]["figures"]]
        table.add(f"[bold]{trade}[/] ({mine[0]['source']})", *names)
        for row in mine:
            table.add(f"  {row['laws']}", *map(number, row["figures"].values()))
    return table


def shown(tv: float) -> str:
    """Four digits; the power of ten where they would hide what is no rounding error."""
    return number(tv) if tv >= LEAST or tv < ROUNDING else f"{tv:.1e}"


def _words(p: Law, q: Law) -> str:
    if len(p) == VOCABULARY:
        return f"p = Zipf(1.2), q = Zipf(1.0), V = {VOCABULARY}"
    return f"p = ({_listed(p)}), q = ({_listed(q)})"


def _listed(law: Law) -> str:
    return ", ".join(f"{value:.4g}" for value in law)
