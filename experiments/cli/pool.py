"""Programs that are compiled and run side by side, one a core, with their progress."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from experiments.cli.console import progress, say

T = TypeVar("T")
R = TypeVar("R")
COMPILING = 25  # seconds that a program may take to compile on one core


def run(work: Callable[[T], R], tasks: Sequence[T], pair: str, word: Callable[[R], str]) -> list[R]:
    """What `work` makes of each task, in order; `word` tells of a finished one. It is said at the
    start how long all may take.
    """
    cores = os.cpu_count() or 1
    minutes = max(round(len(tasks) * COMPILING / min(cores, len(tasks)) / 60), 1)
    say(
        f"{pair}: {len(tasks)} programs, up to {minutes} min on {cores} cores where they are not "
        "compiled yet"
    )
    with ThreadPoolExecutor(cores) as pool, progress(f"{pair}: programs", len(tasks)) as step:
        jobs = [pool.submit(work, task) for task in tasks]
        try:
            for job in as_completed(jobs):
                step(word(job.result()))
        except BaseException:
            # what has not begun shall not hold up the end
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [job.result() for job in jobs]
