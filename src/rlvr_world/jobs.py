"""Jobs in several processes or under a time limit, and a bar that shows how far they are."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

R = TypeVar("R")


def in_processes(
    function: Callable[..., R],
    jobs: Sequence[tuple[Any, ...]],
    processes: int,
    start: Callable[..., Any] | None = None,
    start_args: tuple[Any, ...] = (),
    in_order: bool = False,
) -> Iterator[R]:
    """Call a function once for each job, and yield what it returns.

    Args:
        function: What to call; spawned processes must be able to import it.
        jobs: Its arguments, one tuple for each call.
        processes: Calls at the same time; one call after another, in order and in this process, for
            one process or one job.
        start: Called once in each spawned process.
        start_args: The arguments of ``start``.
        in_order: Yield in the order of the jobs, not as they end.
    """
    if processes == 1 or len(jobs) < 2:
        yield from (function(*job) for job in jobs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), start, start_args) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            for future in futures if in_order else as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Stop the block if it takes longer.

    It works in the main thread of a process on Linux and macOS, and between two steps of Python
    code; elsewhere, and within one long call of a library, there is no limit.

    Args:
        seconds: How long the block may take.
        what: What takes so long, for the error message.

    Raises:
        TimeoutError: In the block, when the time is over.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"{what} took longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def progress_bar(console: Console | None = None) -> Progress:
    """A bar with what is done, the time that it took and the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
