"""Measured against theoretical acceptance of verification rules on a pair of language models, and
the speed of path verifiers.
"""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from experiments.audits import file_audit
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows, numeric
from experiments.cli.tables import MEANING, Table, with_error
from experiments.decoding import comparison
from experiments.decoding.comparison import DELTA, Asked
from experiments.inputs import sampling_options
from experiments.inputs.penalty_options import PenaltyOptions
from experiments.inputs.sampling_options import PairSamplingOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = {
    "accepted": "acceptance_count",
    "law mass": "acceptance_law_mass",
    "expected": "expected",
}
BIAS = {"TV": "tv", "KL": "kl", "efficiency": "efficiency"}
LOSSY = (
    "TV, KL: how far the emitted law of a lossy rule lies from p, mean over nodes. efficiency: (its"
    "\nacceptance - alpha*) / TV; no rule accepts more than alpha* + TV.\n"
)
FIXED_TREE_BOUND = (
    "In the line of alpha*, where nothing is drawn: 1 + the sum of the target's probabilities of "
    "the tree's paths,\nwhich no lossless verifier exceeds on average; at the calls of the first "
    "rule.\n"
)


@dataclasses.dataclass(frozen=True)
class Config(PenaltyOptions, PairSamplingOptions):
    """What to measure.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`.
      rules: names of rules or verifiers (block, traversal), or paths of Python files; if none is
        named all rules but those that search and those that are lossy, on deeper trees with all
        verifiers.
      n: drafts at one node, one star of n drafts for each.
      tree: draft trees in place of n: chain:D, star:N, full:b1,b2,.., delayed:S,K,L (a stem of S
        drafts, then K branches of L), sequoia:N (N drafts, best by the acceptance measured on the
        pair), or grown while drafting: paths:KxD, beam:WxD, best_first:NxWxD, .., or by a file:
        my_tree.py:KxD.
      contexts: tokens that the target draws after the prompts, at least; before each of them every
        rule verifies one draft. If not given, 2048 where V is at most 1024, else 256. A text that
        ends has fewer.
      prompts: a file in place of the pair's held-out prompts: text, one prompt a line, or .jsonl
        with `prompt`, `turns` or `messages`.
      seed: of all random streams.
    """

    pair: str = "bytes"
    rules: tuple[str, ...] = ()
    n: tuple[int, ...] = (1, 2, 4)
    tree: tuple[str, ...] = ()
    contexts: int | None = None
    prompts: Path | None = None
    seed: int = 0


class Row(comparison.Row):
    """A row of the comparison; `audit` is what the audit says of a rule's file."""

    audit: str | None


class Content(Rows[Row]):
    """The rows, and the names of rules that are not what they claim."""

    refuted: list[str]


def run(config: Config) -> Content:
    """One row per rule and tree, and per verifier, scheme and tree; see `Config`. What cannot be
    stated of a verifier is null.

    Raises:
      ValueError: a pair, rule, tree or file that cannot be used; a named rule that fits none of the
        trees.
    """
    if min(config.n, default=0) < 1:
        raise ValueError(f"n: expected numbers >= 1, got {config.n}")
    trees = config.tree or tuple(f"star:{n}" for n in config.n)
    plan = comparison.plan(
        Asked(
            pair=config.pair,
            rules=config.rules,
            trees=trees,
            sampling=sampling_options.of_pair(config),
            contexts=config.contexts,
            prompts=config.prompts,
            seed=config.seed,
            penalties=config,
        )
    )
    audits = file_audit.findings(config.rules)
    rows: list[Row] = [
        {**row, "audit": audits[row["rule"]].words if row["rule"] in audits else None}
        for row in comparison.rows(plan)
    ]
    return {"rows": rows, "refuted": file_audit.refuted(audits), "provenance": provenance(config)}


def show(content: Content, console: Console) -> None:
    """The table, and what its columns mean."""
    rows = content["rows"]
    bias = _bias(rows)
    table = Table(("rule", *FIGURES, "gap", *bias, "tok/call", "within"), title=_title(rows))
    for (tree, scheme), group in itertools.groupby(
        rows, key=lambda row: (row["tree"], row["scheme"])
    ):
        cell = list(group)
        table.add_section()
        table.add(f"[bold]{tree} {scheme}[/]")
        blank = [""] * (2 + len(bias))
        table.add("  alpha*", "", f"[bold]{_optimum(cell)}[/]", *blank, f"[bold]{_bound(cell)}[/]")
        for row in cell:
            figures = (
                with_error(numeric(row, name), numeric(row, f"{name}_se"))
                for name in (*FIGURES.values(), "gap", *bias.values(), "block_efficiency")
            )
            table.add(f"  {row['rule']}", *figures, _consistent(row))
    console.print(table)
    console.print(_legend(rows))


def _bias(rows: list[Row]) -> dict[str, str]:
    """The columns that lossy rules add, if there is one."""
    return BIAS if any(row.get("tv") is not None for row in rows) else {}


def _consistent(row: Row) -> str:
    """The band within which a row agrees with theory; else what is wrong."""
    audit = row.get("audit")
    if audit not in (None, "ok"):
        return f"[bold red]{escape(audit)}[/]"
    return {True: f"[green]±{row['stated_error'] or 0:.4f}[/]", False: "[bold red]NO[/]", None: ""}[
        row["consistent"]
    ]


def status(content: Content) -> int:
    """1 if a rule of a file is not what it claims, or a row of a rule that claims to be lossless
    contradicts theory.
    """
    return int(
        bool(content["refuted"])
        or any(
            row["consistent"] is False and row["audit"] in (None, "ok") for row in content["rows"]
        )
    )


def _optimum(cell: list[Row]) -> str:
    """alpha* at the contexts, which all rows of one tree and scheme share; below them each walk
    meets nodes of its own.
    """
    known = next((row for row in cell if row["alpha_star"] is not None), None)
    if known is None:
        return "-"
    if len(known["alpha_token"]) == 1:
        return with_error(known["alpha_star"], known["alpha_star_se"])
    return with_error(known["alpha_star_token"][0], known["alpha_star_token_se"][0])


def _bound(cell: list[Row]) -> str:
    """The fixed-tree bound at the calls of the first rule; nothing if drafts are drawn."""
    bound = cell[0].get("fixed_tree_bound")
    return "" if bound is None else with_error(bound, cell[0]["fixed_tree_bound_se"])


def _title(rows: list[Row]) -> str:
    return f"{rows[0]['pair']}, {sampling_options.words(rows[0])}"


def _legend(rows: list[Row]) -> str:
    fewest = min(row.get("contexts", 0) for row in rows)
    calls = min(row.get("calls", 0) for row in rows)
    bound = FIXED_TREE_BOUND if any(map(_bound, ([row] for row in rows))) else ""
    return (
        "accepted: share of nodes at which a draft was emitted.\n"
        "law mass: the same, with the draw averaged out; in the line of alpha*, the optimum.\n"
        "expected: the exact acceptance of the rule. gap: alpha* - law mass.\n"
        "tok/call: emitted tokens per target call, with the bonus token, in a decode of the rule's "
        f"own; all share the draws.\n{bound}{LOSSY if _bias(rows) else ''}"
        "within: how far the law mass of a sound row may lie from expected, or above alpha* if "
        "nothing is expected. A sound "
        f"row fails by chance with probability {DELTA:g}. No proof: that is specjax audit.\n"
        f"{MEANING}, prompts as clusters; {fewest} nodes and {calls} calls or more in each row."
    )


def plot(content: Content) -> "Figure":
    """A line for each rule, grouped by scheme, a dot for each tree from light to dark; left its
    acceptance with the optimum as a tick, right its tokens per target call.
    """
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    trees = list(dict.fromkeys(row["tree"] for row in rows))
    lines = _lines(rows, trees)
    figure, (left, right) = style.lanes([label for label, _ in lines], _title(rows))
    for place, (_, held) in enumerate(lines):
        for row in held:
            shade = (trees.index(row["tree"]) + 1) / len(trees)
            colour = style.colour(row["rule"])
            for panel, name in ((left, "acceptance_law_mass"), (right, "block_efficiency")):
                value = numeric(row, name)
                if not math.isnan(value):
                    spread = 2 * numeric(row, f"{name}_se")
                    style.dot(panel, place, value, spread, colour, shade)
            if row["alpha_star"] is not None:
                style.tick(left, place, row["alpha_star"], shade)
    shown = ", ".join(tree.removeprefix("star:") for tree in trees)
    stars = all(tree.startswith("star:") for tree in trees)
    what = "drafts n at a node" if stars else "draft trees"
    left.set_xlabel("acceptance (law mass, ± 2 se); black: alpha*, the optimum")
    right.set_xlabel("emitted tokens per target call (± 2 se)")
    figure.supxlabel(f"light to dark, {what}: {shown}", fontsize="small")
    return figure


def _lines(rows: list[Row], trees: list[str]) -> list[tuple[str, list[Row]]]:
    """The rows of each rule under each scheme, by its label; a scheme's name alone heads its rules,
    of which the one that emits most on the last tree is first.
    """
    lines: list[tuple[str, list[Row]]] = []
    for scheme in dict.fromkeys(row["scheme"] for row in rows):
        mine = [row for row in rows if row["scheme"] == scheme]
        mine.sort(key=lambda row: (-trees.index(row["tree"]), -numeric(row, "block_efficiency")))
        lines.append((scheme, []))
        for rule in dict.fromkeys(row["rule"] for row in mine):
            lines.append((f"  {rule}", [row for row in mine if row["rule"] == rule]))
    return lines
