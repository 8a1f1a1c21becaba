"""What is said beside the result: progress and notes, on stderr."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")
Step = Callable[[str], None]
PATIENCE = 2.0  # seconds after which a bar shows
EVERY = 5.0  # seconds between lines where there is no terminal

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on stderr."""
    stderr.print(f"specjax: {' '.join(text.split())}", markup=False)


def raised(error: Exception) -> str:
    """What a stranger's code raised, in one line."""
    return f"raises {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def track(items: Iterable[T], description: str) -> Iterator[T]:
    """The items, with a bar on a terminal's stderr that shows once they have taken two seconds,
    else a line every few seconds.
    """
    held = list(items)
    with progress(description, len(held)) as step:
        for item in held:
            yield item
            step("")


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Step]:
    """A function to call after each of `total` parts, with a word on that part; the bar goes when
    all is through.
    """
    if not stderr.is_terminal:
        with _lines(description, total) as step:
            yield step
        return
    bar = Progress(console=stderr, transient=True)
    task = bar.add_task(description, total=total)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda word: bar.advance(task)
    finally:
        timer.cancel()
        bar.stop()


@contextlib.contextmanager
def _lines(description: str, total: int) -> Iterator[Step]:
    """A thread says every few seconds how far it is, and the last word."""
    start = time.monotonic()
    over = threading.Event()
    words = [""]

    def tell() -> None:
        while not over.wait(EVERY):
            latest = f"; {words[-1]}" if words[-1] else ""
            say(
                f"{description}: {len(words) - 1} of {total} done, {time.monotonic() - start:.0f} "
                f"s{latest}"
            )

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield words.append
    finally:
        over.set()
        teller.join()


def first_paragraph(documentation: str | None) -> str:
    """The first paragraph of a documentation, in one line."""
    return " ".join((documentation or "").partition("\n\n")[0].split())
