"""What is said beside the result: progress and notes, on stderr."""

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")
PATIENCE = 2.0  # seconds after which a bar shows

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on stderr."""
    stderr.print(f"specjax: {' '.join(text.split())}", markup=False)


def track(items: Iterable[T], description: str) -> Iterator[T]:
    """The items, with a bar on a terminal's stderr that shows once they have taken two seconds, and goes when they are through."""
    if not stderr.is_terminal:
        yield from items
        return
    bar = Progress(console=stderr, transient=True)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield from bar.track(list(items), description=description)
    finally:
        timer.cancel()
        bar.stop()
