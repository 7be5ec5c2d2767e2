"""A progress bar on the terminal while partitions are restored."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_scorer.safe_text import one_line


def bar() -> Callable[[str, int, int], None] | None:
    """A function that draws (text, done, total) on stderr and removes the bar at the end; None if stderr is not a terminal."""
    console = Console(stderr=True)
    return _Bar(console).show if console.is_terminal and sys.stderr.isatty() else None


class _Bar:
    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("")
        self._shown = False

    def show(self, text: str, done: int, total: int) -> None:
        if done >= total:
            self._progress.stop()
            self._shown = False
            return
        if not self._shown:
            self._progress.reset(self._task)
            self._progress.start()
            self._shown = True
        self._progress.update(self._task, description=one_line(text), completed=done, total=total)
