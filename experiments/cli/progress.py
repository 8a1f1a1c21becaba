"""How far a long run is: a bar on a terminal's stderr, else a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.cli.console import EVERY, say, stderr


class Tally:
    """Cells done and failed, their rate since the start, and the time left at that rate."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self.start = self.spoken = time.monotonic()

    def add(self, failed: int) -> None:
        """One more cell, failed or not."""
        self.done, self.failed = self.done + 1, self.failed + failed

    def __str__(self) -> str:
        passed = time.monotonic() - self.start
        rate = self.done / passed if passed > 0 else 0.0
        left = f"{(self.total - self.done) / rate:.0f} s left" if rate > 0 else "no rate yet"
        return (
            f"{self.done} of {self.total} cells, {rate:.2f} a second, {left}, {self.failed} failed"
        )


@contextmanager
def tally(total: int) -> Iterator[Tally]:
    """A tally that shows while it is added to."""
    if not stderr.is_terminal:
        yield _Lines(total)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr,
    ) as bar:
        yield _Bar(total, bar)


class _Lines(Tally):
    def add(self, failed: int) -> None:
        super().add(failed)
        if time.monotonic() - self.spoken >= EVERY or self.done == self.total:
            self.spoken = time.monotonic()
            say(str(self))


class _Bar(Tally):
    def __init__(self, total: int, bar: Progress) -> None:
        super().__init__(total)
        self.bar, self.task = bar, bar.add_task("", total=total)

    def add(self, failed: int) -> None:
        super().add(failed)
        passed = time.monotonic() - self.start
        self.bar.update(
            self.task,
            advance=1,
            description=f"{self.done / passed:.2f} cells a second, {self.failed} failed",
        )
