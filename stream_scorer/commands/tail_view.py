"""The output of `stream-scorer tail`: a table on a terminal, lines elsewhere, JSON with --json."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from stream_scorer.evaluate.tail import Row, Tail
from stream_scorer.safe_text import one_line, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

COLUMNS = ("time", "key", "forecast", "actual", "error", "naive error", "RMSE", "skill")
FIELDS = (
    "forecast",
    "actual",
    "naive",
    "error",
    "naive_error",
    "low",
    "high",
    "forecast_offset",
    "forecast_timestamp",
    "actual_offset",
)
"""Of an evaluation, as its schema has them."""
WIDTHS = (19, 12, 12, 12, 12, 12, 12, 8)
FULL_WIDTH = 100
"""Width of a terminal, in characters, that shows every column in full."""
REFRESH_S = 0.25
"""Least time between two refreshes: a flickering table cannot be read."""
_FRAME_LINES = 8
"""Lines of a terminal that are not rows: title, head, rules, caption and margins."""


class View(Protocol):
    def add(self, row: Row) -> None:
        """Show one more evaluation."""

    def refresh(self, *, changed: bool) -> None:
        """Called after each batch of records, and about every moment without one. `changed`: records were read."""


@contextlib.contextmanager
def view(tail: Tail, topic: str, *, as_json: bool) -> Iterator[View]:
    """The view for stdout. Colours and styles follow NO_COLOR and TERM."""
    if as_json:
        yield _Json()
        return
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines()
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        table = _Table(tail, topic, console, live)
        table.draw()
        yield table
        table.draw()


class _Json:
    def add(self, row: Row) -> None:
        evaluation = row.evaluation or {}
        fields = {
            "key": None if row.key is None else row.key.decode(errors="replace"),
            "timestamp": row.time,
            **{name: _plain(evaluation[name]) for name in FIELDS if name in evaluation},
            "rmse": row.rmse,
            "skill": row.skill,
        }
        # JSON has no infinity, which the error of two huge numbers may be.
        say(json.dumps({name: None if _infinite(value) else value for name, value in fields.items()}), flush=True)

    def refresh(self, *, changed: bool) -> None:
        pass


class _Lines:
    def __init__(self) -> None:
        self._head_due = True

    def add(self, row: Row) -> None:
        if self._head_due:
            say(_line(COLUMNS))
            self._head_due = False
        say(_line(_cells(row)), flush=True)

    def refresh(self, *, changed: bool) -> None:
        pass


class _Table:
    def __init__(self, tail: Tail, topic: str, console: Console, live: Live) -> None:
        self._tail, self._topic, self._console, self._live = tail, topic, console, live
        self._rows: deque[Row] = deque(maxlen=200)
        self._drawn, self._due = 0.0, False

    def add(self, row: Row) -> None:
        self._rows.append(row)

    def refresh(self, *, changed: bool) -> None:
        self._due |= changed
        if self._due and time.monotonic() - self._drawn >= REFRESH_S:
            self.draw()

    def draw(self) -> None:
        self._drawn, self._due = time.monotonic(), False
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        """The last evaluations that fit, and below them the pending forecasts."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        room = max(3, self._console.height - _FRAME_LINES)
        pending = self._tail.pending()[-max(1, room // 3) :]
        judged = list(self._rows)[-max(1, room - len(pending)) :]
        series = f" of {self._tail.series:,} series" if self._tail.series > 1 else ""
        table = Table(
            title=Text(f"{one_line(self._topic)}: forecasts and what then happened"),
            caption=Text(
                f"{self._tail.judged:,} judged{series}. RMSE and skill: of each series, since this view began."
            ),
            box=box.SIMPLE_HEAD,
            title_justify="left",
            caption_justify="left",
        )
        # A number cut short is wrong. A narrow terminal loses the column that skill makes up for.
        shown = [at for at, name in enumerate(COLUMNS) if name != "naive error" or self._console.width >= FULL_WIDTH]
        for at in shown:
            table.add_column(COLUMNS[at], justify="left" if at < 2 else "right", no_wrap=True)
        for row, style in (*((row, "") for row in judged), *((row, "dim") for row in pending)):
            cells = _cells(row)
            table.add_row(*(Text(cells[at]) for at in shown), style=style)
        return table


def _cells(row: Row) -> tuple[str, ...]:
    return (
        _time(row.time),
        _key(row.key),
        _value(row.forecast),
        "waiting" if row.actual is None else _value(row.actual),
        _number(row.error, "+#.4g"),
        _number(row.naive_error, "+#.4g"),
        _number(row.rmse, "#.4g"),
        _number(row.skill, "+.3f"),
    )


def _line(cells: tuple[str, ...]) -> str:
    padded = [
        cell.ljust(width) if at < 2 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _value(value: float) -> str:
    """Six digits, with trailing zeros, so that the decimal points of a column of prices line up."""
    return format(value, "#.6g").rstrip(".")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form).rstrip(".")


def _time(ms: int | None) -> str:
    """UTC; without the time of day at midnight, for daily prices."""
    if ms is None:
        return ""
    try:
        when = datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return str(ms)
    return when.strftime("%Y-%m-%d" if ms % 86_400_000 == 0 else "%Y-%m-%d %H:%M:%S")


def _key(key: bytes | None) -> str:
    """The key as text of at most 12 characters, without control characters, which could move the cursor."""
    if key is None:
        return "-"
    text = "".join(letter if letter.isprintable() else "?" for letter in key.decode(errors="replace"))
    return text if len(text) <= 12 else text[:11] + "…"


def _plain(value: object) -> object:
    """A number of an evaluation; None for what somebody else wrote in its place."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _infinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
