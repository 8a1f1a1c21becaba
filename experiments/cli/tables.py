"""How figures and names are written: 1.234(56) has one meaning, nothing is -0.0000, and tables fold
names where words end.
"""

import dataclasses
import math
import operator
import re
from collections.abc import Sequence

import rich.table
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

MEANING = "1.234(56) is 1.234 ± 0.056, one standard error"
# a line may end after a blank, an underscore, a colon or a comma
BREAKS = re.compile(r"[^\s_:,]*[\s_:,]*")


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A value rounded, "-" where there is none; `sign` "+" marks what is positive."""
    return "-" if value is None or math.isnan(value) else f"{value:{sign}z.{digits}f}"


def with_error(value: float | None, error: float | None, digits: int = 4, sign: str = "") -> str:
    """1.234(56) for 1.234 ± 0.056, one standard error; fewer digits where the error would take more
    than two.
    """
    if value is None or error is None or math.isnan(value) or math.isnan(error):
        return number(value, digits, sign)
    shown = next((d for d in range(digits, 0, -1) if round(error * 10**d) < 100), 0)
    return f"{number(value, shown, sign)}({round(error * 10**shown)})"


def interval(low: float | None, high: float | None, digits: int = 4, sign: str = "") -> str:
    """Both ends of an interval."""
    return f"{number(low, digits, sign)} to {number(high, digits, sign)}"


@dataclasses.dataclass
class Table:
    """A table that fits the console: the first `names` columns stand to the left, figures to the
    right.

    Attributes:
      heads: of the columns.
      lines: cells with rich's markup; None is an empty line.
      texts: heads of other columns that stand to the left.
    """

    heads: Sequence[str]
    names: int = 1
    title: str | None = None
    lines: list[Sequence[str] | None] = dataclasses.field(default_factory=list)
    texts: tuple[str, ...] = ()

    def add(self, *cells: str) -> None:
        """One line; cells that are left out are empty."""
        self.lines.append((*cells, *[""] * (len(self.heads) - len(cells))))

    def add_section(self) -> None:
        """An empty line, but not before the first."""
        self.lines += [None] if self.lines else []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heads = [Text(head, style="bold") for head in self.heads]
        lines = [list(map(Text.from_markup, line or ())) for line in self.lines]
        columns = list(zip(heads, *filter(None, lines), strict=True))
        natural = [max(map(operator.attrgetter("cell_len"), column)) for column in columns]
        least = [max(map(_least, column)) for column in columns]
        between = 2 if sum(natural) + 2 * len(columns) - 2 <= options.max_width else 1
        widths = _fitting(natural, least, options.max_width - between * (len(columns) - 1))
        made = rich.table.Table(
            title=self.title,
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, between - 1, 0, 0),
            title_justify="left",
        )
        for index, (head, width) in enumerate(zip(heads, widths, strict=True)):
            left = index < self.names or head.plain in self.texts
            made.add_column(
                _folded(head, width), justify="left" if left else "right", width=width, no_wrap=True
            )
        for line in lines:
            # none in an empty line
            made.add_row(*(_folded(cell, width) for cell, width in zip(line, widths, strict=False)))
        yield made


def _pieces(text: str) -> list[str]:
    """The parts of a line that stay whole, each with the blanks before it where it begins a
    line.
    """
    indent = len(text) - len(text.lstrip())
    first, *rest = BREAKS.findall(text[indent:])
    return [text[:indent] + first, *rest]


def _least(text: Text) -> int:
    """The width below which a word would break."""
    indent = len(text.plain) - len(text.plain.lstrip())
    first, *rest = _pieces(text.plain)
    return max(len(first.rstrip()), *(indent + len(piece.rstrip()) for piece in rest), 0)


def _fitting(widths: list[int], least: list[int], room: int) -> list[int]:
    """The widths, the widest narrowed first until they fit the room or no word would stay whole."""
    widths = list(widths)
    while sum(widths) > room and any(map(int.__gt__, widths, least)):
        index = max(
            (i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i]
        )
        widths[index] -= 1
    return widths


def _folded(text: Text, width: int) -> Text:
    """The text in lines of at most this width, each with the indent of the first."""
    indent = len(text.plain) - len(text.plain.lstrip())
    length = 0
    place = 0
    ends = []
    for piece in _pieces(text.plain):
        if length and length + len(piece.rstrip()) > width:
            ends.append(place)
            length = indent
        length = length + len(piece)
        place = place + len(piece)
    lines = text.divide(ends)
    for line in lines:
        line.rstrip()
    return Text("\n" + " " * indent).join(lines)
