"""The table of rules, generated from what their files claim."""

import dataclasses
from typing import NamedTuple

from rich.console import Console

from experiments.cli.console import first_paragraph
from experiments.cli.tables import Table
from specjax import rules
from specjax.rules import Claims, Rule


@dataclasses.dataclass(frozen=True)
class Config:
    """How to print it.

    Attributes:
      markdown: print the table of lossless rules, as README holds it.
    """

    markdown: bool = False


class Row(NamedTuple):
    """What one rule claims.

    Attributes:
      schemes: the drafting schemes that its proof covers.
      loss: what a lossy rule claims of its bias, in words.
      optimal: the n for which it attains the optimum.
      n: the numbers of drafts that it takes.
      expectation: the schemes under which it states its exact acceptance.
      expectation_up_to: the largest n for which it does; None is no limit.
      summary: the first sentence of its documentation.
    """

    rule: str
    schemes: list[str]
    lossless: bool
    loss: str
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
    """One row per file in the folder of rules; in Markdown per lossless rule."""
    makes = [make for make in rules.all() if make.claims.lossless or not config.markdown]
    return Listing([_row(make) for make in makes], config.markdown)


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
        _loss(claims),
        optimal,
        numbers,
        *stated,
        claims.source,
        summary,
    )


def _loss(claims: Claims) -> str:
    """The bias that a lossy rule claims to stay within, and whether it is on the front."""
    budget = [f"{claims.loss.measure} <= {claims.loss.field}"] if claims.loss else []
    return ", ".join([*budget, *["on the front"] * claims.on_front])


def _cells(row: Row) -> tuple[str, ...]:
    """The claims in the words of a table."""
    limit = "" if row.expectation_up_to is None else f" (n <= {row.expectation_up_to})"
    stated = ", ".join(scheme + limit for scheme in row.expectation)
    return (
        ", ".join(row.schemes),
        "yes" if row.lossless else ", ".join(filter(None, ("no", row.loss))),
        row.optimal,
        row.n,
        stated or "-",
        row.source,
    )


def document(listing: Listing) -> list[dict[str, object]]:
    """The rows as JSON."""
    return [row._asdict() for row in listing.rows]


def markdown(rows: list[Row]) -> str:
    """The table of the lossless rules, which README holds."""
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
    lines += [(f"`{row.rule}`", row.summary, *_cells(row)) for row in rows if row.lossless]
    return "\n".join(map(_markdown_line, lines))


def _markdown_line(cells: tuple[str, ...]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def show(listing: Listing, console: Console) -> None:
    """The table of lossless rules, and that of lossy ones."""
    if listing.markdown:
        print(markdown(listing.rows))
        return
    for lossless, claim in ((True, "optimal for"), (False, "lossy: keeps")):
        rows = [row for row in listing.rows if row.lossless == lossless]
        table = Table(("rule", "schemes", claim, "takes", "exact acceptance", "source"), 6)
        for row in rows:
            schemes, _, optimal, *others = _cells(row)
            table.add_section()
            table.add(row.rule, schemes, optimal if lossless else row.loss or "-", *others)
        if rows:
            console.print(table)
    for row in listing.rows:
        console.print(f"{row.rule}: {row.summary}", highlight=False)
