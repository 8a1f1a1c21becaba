"""One page of a merged sweep: every figure that its rows can show, and the rows in a table that
sorts; no network.

The page is a single HTML file, the figures are in it.
"""

import base64
import dataclasses
import html
import io
import string
from pathlib import Path

import tyro
from rich.console import Console

from experiments.cli import whole_files
from experiments.cli.console import first_paragraph, track
from experiments.cli.rows import Record
from experiments.figures import kinds, stored_rows

TEMPLATE = Path(__file__).parent / "figures" / "report.html"
DPI = 100


@dataclasses.dataclass(frozen=True)
class Config:
    """What to put on the page.

    Attributes:
      file: a merged sweep (.parquet, .json), or the JSON of compare.
      out: the page.
      where: conditions COLUMN=VALUE or COLUMN=VALUE,VALUE,.. that rows must meet.
    """

    file: tyro.conf.Positional[Path]
    out: Path = Path("out/report.html")
    where: tuple[str, ...] = ()


def run(config: Config) -> Record:
    """Write the page.

    Raises:
      ValueError: a file without rows of rules, a condition that no row meets, or a page that cannot
        be written.
    """
    whole_files.check_writable(config.out)
    rows = stored_rows.measured(
        stored_rows.chosen(stored_rows.read(config.file)["rows"], config.where)
    )
    shown = {name: kind.points(rows) for name, kind in kinds.kinds().items()}
    parts = [(name, part) for name, points in shown.items() for part in kinds.pages(points)]
    figures = [_figure(name, part) for name, part in track(parts, "figures")]
    whole_files.write(config.out, _page(config, rows, figures).encode())
    return {"page": str(config.out), "rows": len(rows), "figures": len(figures)}


def show(content: Record, console: Console) -> None:
    """Where the page is."""
    console.print(
        f"page: {content['page']}, {content['figures']} figures of {content['rows']} rows",
        highlight=False,
        soft_wrap=True,
    )


def _page(config: Config, rows: list[stored_rows.Row], figures: list[str]) -> str:
    nested = {name for row in rows for name, held in row.items() if isinstance(held, list | dict)}
    held = {name for row in rows for name, value in row.items() if value is not None}
    columns = [name for name in rows[0] if name in held - nested]
    body = "\n".join(_line(row, columns) for row in rows)
    conditions = f" with {', '.join(config.where)}" if config.where else ""
    return string.Template(TEMPLATE.read_text("utf-8")).substitute(
        title=html.escape(config.file.stem),
        summary=html.escape(
            f"{len(rows)} rows{conditions}. Intervals are two standard errors unless they are "
            "named."
        ),
        figures="\n".join(figures),
        head="".join(f"<th>{html.escape(name)}" for name in columns),
        body=body,
    )


def _figure(name: str, points: list[stored_rows.Row]) -> str:
    """A figure with its caption, as HTML."""
    kind = kinds.get(name)
    image = io.BytesIO()
    kind.draw(points).savefig(image, format="png", dpi=DPI)
    caption = html.escape(first_paragraph(kind.__doc__))
    data = base64.b64encode(image.getvalue()).decode()
    return (
        f'<h2>{name}</h2>\n<p>{caption}</p>\n<img alt="{caption}" '
        f'src="data:image/png;base64,{data}">'
    )


def _line(row: stored_rows.Row, columns: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(_cell(row.get(name)))}" for name in columns)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
