"""The table of rules, generated from what their files claim."""

import dataclasses
from typing import NamedTuple

from rich.console import Console

from experiments.cli.console import first_paragraph
from experiments.cli.tables import Table
from specjax import rules
from specjax.rules import Rule


@dataclasses.dataclass(frozen=True)
class Config:
    """How to print it.

    Attributes:
      markdown: print the table as README holds it.
    """

    markdown: bool = False


class Row(NamedTuple):
    """What one rule claims.

    Attributes:
      schemes: the drafting schemes that its proof covers.
      optimal: the n for which it attains the optimum.
      n: the numbers of drafts that it takes.
      expectation: the schemes under which it states its exact acceptance.
      expectation_up_to: the largest n for which it does; None is no limit.
      summary: the first sentence of its documentation.
    """

    rule: str
    schemes: list[str]
    lossless: bool
    optimal: str
    n: str
    expectation: list[str]
    expectation_up_to: int | None
    source: str
    summary: str


class Listing(NamedTuple):
    """The rows, and how they were asked for."""

    rows: list[Row]
    markdown: bool


def run(config: Config) -> Listing:
    """One row per file in the folder of rules."""
    return Listing([_row(rules.get(name)) for name in rules.names()], config.markdown)


def _row(rule: type[Rule]) -> Row:
    claims = rule.claims
    low, high = claims.n_range
    expectation = (
        sorted(claims.expectation_under or claims.drafting)
        if hasattr(rule, "expected_acceptance")
        else []
    )
    optimal = {0: "-", -1: "every n"}.get(claims.optimal_for, f"n <= {claims.optimal_for}")
    numbers = (
        f"n >= {low}" if high is None else f"n = {low}" if low == high else f"{low} <= n <= {high}"
    )
    summary = first_paragraph(rule.__doc__)
    stated = expectation, claims.expectation_up_to
    return Row(
        rule.name,
        sorted(claims.drafting),
        claims.lossless,
        optimal,
        numbers,
        *stated,
        claims.source,
        summary,
    )


def _cells(row: Row) -> tuple[str, ...]:
    """The claims in the words of a table."""
    limit = "" if row.expectation_up_to is None else f" (n <= {row.expectation_up_to})"
    stated = ", ".join(scheme + limit for scheme in row.expectation)
    return (
        ", ".join(row.schemes),
        "yes" if row.lossless else "no",
        row.optimal,
        row.n,
        stated or "-",
        row.source,
    )


def document(listing: Listing) -> list[dict[str, object]]:
    """The rows as JSON."""
    return [row._asdict() for row in listing.rows]


def markdown(rows: list[Row]) -> str:
    """The table that README holds."""
    head = (
        "rule",
        "what it does",
        "schemes",
        "lossless",
        "optimal for",
        "takes",
        "exact acceptance",
        "source",
    )
    lines = [head, ("---",) * len(head)]
    lines += [(f"`{row.rule}`", row.summary, *_cells(row)) for row in rows]
    return "\n".join(map(_markdown_line, lines))


def _markdown_line(cells: tuple[str, ...]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def show(listing: Listing, console: Console) -> None:
    """The table."""
    if listing.markdown:
        print(markdown(listing.rows))
        return
    table = Table(
        ("rule", "schemes", "lossless", "optimal for", "takes", "exact acceptance", "source"), 7
    )
    for row in listing.rows:
        table.add_section()
        table.add(row.rule, *_cells(row))
    console.print(table)
    for row in listing.rows:
        console.print(f"{row.rule}: {row.summary}", highlight=False)
