"""Emitted tokens per target call against the number of drafts that are verified, for published ways
to draft a tree.

A static tree is chosen by the acceptance of each slot, measured in a decode of its own; Sequoia's
are printed as `branching:..`, and `specjax compare --tree sequoia:NxDEPTH` chooses in the same way.
Where a method leaves the width open, it is chosen for each half of the prompts by the other half.
Intervals are paired by prompt. The limit is that of trees which are no function of chance
(`theory.tree_shapes.random_walk_limit`, without its constant): best first is one, the others are
not bound by it.
"""

import collections
import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import jax
import numpy as np
from rich.console import Console

from experiments.cli import pool, seeds
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows
from experiments.cli.tables import MEANING, Table, interval, number, with_error
from experiments.decoding import comparison
from experiments.decoding.pair_profile import Profile, profile
from experiments.decoding.paired import Calls, efficiency
from experiments.decoding.published_trees import METHODS, SINGLE, Limits
from experiments.decoding.tree_claims import Claim, Row, chosen, claims
from experiments.inputs import named_verifiers, sampling_options
from experiments.inputs.sampling_options import PairSampling, SamplingOptions
from experiments.stats.means import LEVEL, clustered_mean, mean
from specjax import decode
from specjax.decode import Decoder
from specjax.models import Pair, pairs
from specjax.numerics import Sampling
from specjax.trees import growth
from specjax.verifiers import Verifier
from theory.tree_shapes import LogMoments, random_walk_limit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLOTS = 16  # children of a node at most
COLUMNS, PANEL = 4, 2.4  # panels in a row of the figure, and the inches of each


@dataclasses.dataclass(frozen=True)
class Config(SamplingOptions):
    """What to measure.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`.
      methods: ways to draft a tree.
      budget: drafts that are verified at a target call.
      depth: drafts on a path, at most, whatever the method: below the budget it may decide who
        wins.
      prompts: as many of the pair's held-out prompts, at most.
      calls: target calls after each prompt.
      seed: of all random streams.
    """

    pair: str = "bytes"
    methods: tuple[str, ...] = tuple(METHODS)
    budget: tuple[int, ...] = (4, 8, 16, 32, 64)
    depth: int = 64
    prompts: int = 16
    calls: int = 32
    seed: int = 0


class Known(TypedDict):
    """The profile of a pair: acceptance by slot, and the moments of the draft law's logarithm."""

    acceptance: list[float]
    mu: float
    mu2: float


class Content(Rows[Row]):
    """The rows, with the claims and the profile."""

    claims: list[Claim]
    profile: Known


class Cell(NamedTuple):
    """One program: the verifiers of a method on one tree, which may serve several budgets."""

    method: str
    tree: str


def run(config: Config) -> Content:
    """One row per method, budget, tree and verifier; the claims; and the profile that static trees
    are chosen by.

    Raises:
      ValueError: a number out of its range, or an unknown name.
    """
    _check(config)
    pair = pairs.load(config.pair)
    sampling = sampling_options.of(config)
    key = seeds.key(config.seed)
    room = config.calls * (config.depth + 1)
    prompts = decode.padded(decode.encoded(pair, pair.prompts[: config.prompts], room))
    slots = min(SLOTS, pair.target.vocabulary)
    of_profile = jax.random.fold_in(key, 0)
    of_trees = jax.random.fold_in(key, 1)  # methods share their draws
    seen = profile(
        pair, PairSampling(sampling, sampling), of_profile, *prompts, config.calls, slots
    )
    budgets = _budgets(config, seen)

    def rows_of(cell: Cell) -> list[Row]:
        decoder, verifiers = _prepared(cell, pair, sampling)
        led = efficiency(decoder, verifiers, of_trees, pair, *prompts, config.calls)
        # a program runs once, and some forty of a large pair's are more memory maps than a process
        # may have
        jax.clear_caches()
        return _rows(config, cell, budgets[cell], led)

    done = pool.run(
        rows_of, list(budgets), config.pair, lambda rows: f"{rows[0]['method']} {rows[0]['tree']}"
    )
    rows = [row for cell in done for row in cell]
    rows.sort(key=lambda row: (config.methods.index(row["method"]), row["budget"]))
    known: Known = {
        "acceptance": seen.acceptance.tolist(),
        "mu": seen.moments.first,
        "mu2": seen.moments.second,
    }
    return {
        "rows": rows,
        "claims": claims(rows),
        "profile": known,
        "provenance": provenance(config),
    }


def _check(config: Config) -> None:
    if (
        min(config.budget, default=0) < 2
        or config.depth < 2
        or config.prompts < 4
        or config.calls < 1
    ):
        raise ValueError(
            "expected budget >= 2, depth >= 2, prompts >= 4 and calls >= 1, "
            f"got {config.budget}, {config.depth}, {config.prompts} and {config.calls}"
        )
    if unknown := set(config.methods) - METHODS.keys():
        raise ValueError(f"unknown method {min(unknown)!r}: expected one of {', '.join(METHODS)}")


def _budgets(config: Config, seen: Profile) -> dict[Cell, list[int]]:
    """The programs to run, and the budgets that each serves."""
    found: dict[Cell, list[int]] = {}
    for method in config.methods:
        for budget in config.budget:
            for tree in METHODS[method].trees(Limits(budget, config.depth, seen.acceptance)):
                found.setdefault(Cell(method, tree), []).append(budget)
    return found


def _prepared(cell: Cell, pair: Pair, sampling: Sampling) -> tuple[Decoder, tuple[Verifier, ...]]:
    method = METHODS[cell.method]
    tree = growth.parse(cell.tree, method.scheme)
    verifiers = tuple(
        decode.verifier(named_verifiers.made(name), tree.scheme, tree.topology)
        for name in method.verifiers
    )
    return decode.decoder(pair, tree, method.scheme, sampling), verifiers


def _rows(config: Config, cell: Cell, budgets: list[int], led: list[Calls]) -> list[Row]:
    method = METHODS[cell.method]
    drafts = growth.parse(cell.tree, method.scheme).topology.nodes - 1
    rows: list[Row] = []
    for verifier, calls in zip(method.verifiers, led, strict=True):
        emitted = clustered_mean(calls.emitted.astype(float), calls.ran)
        most = comparison.fixed_tree_bound(method.scheme, calls)
        prompts = zip(calls.emitted, calls.ran, strict=True)
        by_prompt = [float(row[used].mean()) for row, used in prompts]
        rows += [
            {
                "pair": pairs.label(config.pair),
                "method": cell.method,
                "budget": budget,
                "tree": cell.tree,
                "drafts": drafts,
                "scheme": method.scheme,
                "verifier": verifier,
                "calls": int(calls.ran.sum()),
                "block_efficiency": emitted.value,
                "block_efficiency_se": emitted.error,
                "fixed_tree_bound": most.value,
                "by_prompt": by_prompt,
            }
            for budget in budgets
        ]
    return rows


def _lines(rows: list[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["method"], row["verifier"]) for row in rows))


def _limits(content: Content) -> dict[int, float]:
    """1 + (mu + mu2) log(nodes) / mu^2, the root being one of the nodes."""
    moments = LogMoments(content["profile"]["mu"], content["profile"]["mu2"])
    budgets = sorted({row["budget"] for row in content["rows"]})
    return {budget: 1 + random_walk_limit(moments, budget + 1) for budget in budgets}


def _bounds(rows: list[Row], method: str, verifier: str) -> dict[int, float]:
    """The fixed-tree bound by budget; empty if drafts are drawn."""
    mine = [row for row in rows if (row["method"], row["verifier"]) == (method, verifier)]
    found = {row["budget"]: row.get("fixed_tree_bound") for row in mine}
    return {budget: bound for budget, bound in found.items() if bound is not None}


def show(content: Content, console: Console) -> None:
    """Block efficiency by method, verifier and budget; the chosen trees; the claims."""
    rows = content["rows"]
    limits = _limits(content)
    table = Table(
        ("method", "verifier", *map(str, limits)),
        2,
        f"{rows[0]['pair']}: emitted tokens per target call, by drafts verified",
    )
    for method, verifier in _lines(rows):
        cells = [chosen(rows, method, verifier, budget)[0] for budget in limits]
        table.add(
            method,
            verifier,
            *(with_error(*mean(values), 2) if len(values) else "-" for values in cells),
        )
    for method, verifier in _lines(rows):
        if bounds := _bounds(rows, method, verifier):
            table.add(method, "any verifier, at most", *(number(bounds[b], 2) for b in limits))
    figures = [number(limit, 2) for limit in limits.values()]
    table.add("limit of fixed trees", "without its constant", *figures)
    console.print(table)
    console.print(f"{MEANING} over prompts")
    known = content["profile"]
    console.print(
        f"acceptance by slot {' '.join(f'{x:.3f}' for x in known['acceptance'])}; mu "
        f"{known['mu']:.3f}, mu2 {known['mu2']:.3f}"
    )
    for method in dict.fromkeys(row["method"] for row in rows):
        console.print(f"{method}: {'; '.join(_trees(rows, method, budget) for budget in limits)}")
    console.print(_claims_table(content["claims"]))
    console.print(summary(content), highlight=False)


def summary(content: Content) -> str:
    """One paragraph: what each method emits at the largest budget by its better verifier, how deep
    it goes, and how the claims end.
    """
    rows = content["rows"]
    claims = [row for row in content["claims"] if row["reproduced"] is not None]
    budget = max(row["budget"] for row in rows)
    methods = dict.fromkeys(row["method"] for row in rows)
    lines = filter(None, (_best(rows, method, budget) for method in methods))
    failed = collections.Counter(row["budget"] for row in claims if not row["reproduced"])
    drafts = ", ".join(f"{count} with {budget} drafts" for budget, count in sorted(failed.items()))
    return (
        f"{rows[0]['pair']}, {budget} drafts: {'; '.join(lines)}; {MEANING} over prompts. More "
        "than a single path of the same budget in "
        f"{len(claims) - failed.total()} of {len(claims)} "
        f"comparisons{drafts and f', not in {drafts}'}."
    )


def _best(rows: list[Row], method: str, budget: int) -> str:
    """A method's better verifier, and the depth of the tree; empty where it has no tree of this
    budget.
    """
    found = [
        (verifier, *chosen(rows, method, verifier, budget))
        for name, verifier in _lines(rows)
        if name == method
    ]
    verifier, values, trees = max(found, key=lambda one: float(one[1].sum()))
    return (
        f"{method} {with_error(*mean(values), 2)} ({verifier}, {_deep(rows, trees)})"
        if trees
        else ""
    )


def _deep(rows: list[Row], trees: list[str]) -> str:
    schemes = {row["tree"]: row["scheme"] for row in rows}
    return (
        f"{' or '.join(str(growth.parse(tree, schemes[tree]).topology.height) for tree in trees)} "
        "deep"
    )


def _trees(rows: list[Row], method: str, budget: int) -> str:
    trees = chosen(rows, method, METHODS[method].verifiers[0], budget)[1]
    return f"{budget} {' or '.join(trees) or '-'}"


def _claims_table(rows: list[Claim]) -> Table:
    title = f"more than a single path? mean difference by prompt, {LEVEL:.0%} interval"
    table = Table(("method", "against", "drafts", "difference", "interval", "reproduced"), 2, title)
    for row in rows:
        if row["reproduced"] is not None:
            figures = (
                number(row["difference"], 3, "+"),
                interval(row["low"], row["high"], 3, "+"),
                "yes" if row["reproduced"] else "no",
            )
            table.add(row["method"], f"{SINGLE}, {row['against']}", str(row["budget"]), *figures)
    return table


def plot(content: Content) -> "Figure":
    """Tokens per target call against the budget: a panel for each method, a colour for each
    verifier; dashed the limit of fixed trees, grey the best of a single path.
    """
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    limits = _limits(content)
    lines = _lines(rows)
    methods = list(dict.fromkeys(method for method, _ in lines))
    title = f"{rows[0]['pair']}: emitted tokens per target call (± 2 se)"
    figure, board = style.board(math.ceil(len(methods) / COLUMNS), COLUMNS, title, PANEL)
    panels = [panel for row in board for panel in row]
    for panel in panels[len(methods) :]:
        panel.set_visible(False)
    # far above what a poor draft model comes to
    reach = f"{min(limits.values()):.1f} to {max(limits.values()):.1f}"
    limit = f"limit of fixed trees, without its constant: {reach}"
    paths = [line for line in lines if line[0] == SINGLE]
    best = sorted(paths, key=lambda line: _most(rows, line))[-1:]  # none if no path was drafted
    for method, panel in zip(methods, panels, strict=False):
        panel.set_title(method, fontsize="medium")
        for line in best:
            _plot_line(panel, rows, line, "0.75", None)
        for line in [line for line in lines if line[0] == method]:
            _plot_line(panel, rows, line, style.colour(line[1]), line[1])
        panel.plot(list(limits), list(limits.values()), "k--", linewidth=1, label=limit)
        panel.set_xscale("log", base=2)
        panel.set_xticks(list(limits), [str(budget) for budget in limits])
        panel.set_xlabel("drafts verified at a target call", fontsize="small")
        panel.set_ylim(1, 1.1 * max(row["block_efficiency"] for row in rows))
    style.legend(figure, 4)
    return figure


def _most(rows: list[Row], line: tuple[str, str]) -> float:
    """The most tokens per target call that a method reaches with a verifier."""
    mine = [row for row in rows if (row["method"], row["verifier"]) == line]
    return max(row["block_efficiency"] for row in mine)


def _plot_line(
    panel: "Axes",
    rows: list[Row],
    line: tuple[str, str],
    colour: str,
    label: str | None,
) -> None:
    budgets = sorted({row["budget"] for row in rows})
    cells = [(budget, chosen(rows, *line, budget)[0]) for budget in budgets]
    points = np.array([(budget, *mean(values)) for budget, values in cells if len(values)])
    x, y, error = points.T
    panel.errorbar(x, y, 2 * error, color=colour, marker="o", capsize=2, label=label)
