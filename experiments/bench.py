"""Time of verification, node by node and of trees, and of the optimum at large vocabularies, as
multiples of a pass or a sort.
"""

import dataclasses
from typing import NotRequired

from rich.console import Console

from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.timing import decodes, fronts, nodes, optima, optimal_rules, throughput, trees


@dataclasses.dataclass(frozen=True)
class Config:
    """What to time.

    Attributes:
      vocabulary: V of the pairs of laws; every rule is timed at the largest, trees at the smallest.
      n: drafts; every rule is timed at the most.
      repeats: interleaved rounds; the medians over them are compared.
      seed: of the pairs of laws.
    """

    vocabulary: tuple[int, ...] = (32768, 131072)
    n: tuple[int, ...] = (2, 4, 8)
    repeats: int = 41
    seed: int = 0


class Content(nodes.Nodes, trees.Trees):
    """All tables."""

    bounds: list[optima.Row]
    optimal: list[optimal_rules.Row]
    fronts: NotRequired[list[fronts.Row]]
    decodes: list[decodes.Row]
    throughput: list[throughput.Row]
    provenance: Record


def run(config: Config) -> Content:
    """The tables of nodes, of the optimum and its bracket, of the rules that certify it, of the
    front, of trees and drafting, of contexts a second.

    Raises:
      ValueError: no vocabulary, n or repeat, or fewer tokens than drafts.
    """
    sizes = (*config.vocabulary, *config.n, config.repeats)
    if (
        not config.vocabulary
        or not config.n
        or min(sizes) < 1
        or min(config.vocabulary) < max(config.n)
    ):
        raise ValueError(
            f"expected vocabularies >= n >= 1 and repeats >= 1, got {config.vocabulary}, "
            f"{config.n}, {config.repeats}"
        )
    grid = config.vocabulary, config.n, config.repeats, config.seed
    return {
        **nodes.run(max(config.vocabulary), max(config.n), config.repeats, config.seed),
        "bounds": optima.run(*grid),
        "optimal": optimal_rules.run(*grid),
        "fronts": fronts.run(*grid),
        **trees.run(min(config.vocabulary), config.repeats, config.seed),
        "decodes": decodes.run(config.repeats, config.seed),
        "throughput": throughput.run(
            min(config.vocabulary),
            sorted(config.n)[len(config.n) // 2],
            config.repeats,
            config.seed,
        ),
        "provenance": provenance(config),
    }


def show(content: Content, console: Console) -> None:
    """The tables; what is beyond its limit is marked."""
    console.print(nodes.table(content["rows"], content["pass_ms"]))
    console.print(optima.table(content["bounds"]))
    if content["optimal"]:
        console.print(optimal_rules.table(content["optimal"]))
    if "fronts" in content:
        console.print(fronts.table(content["fronts"]))
    console.print(*trees.tables(content))
    console.print(decodes.table(content["decodes"]))
    console.print(throughput.table(content["throughput"]))
