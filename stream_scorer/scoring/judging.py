"""Forecasts joined with what then happened, within one batch.

A forecast waits in its session for the record it is of: the next one, or one of a later moment. In a batch no
forecast is there yet when the next record comes, as all windows are forecast at its end. So a record takes what
waits as a place that is filled later; the joins are made after the forecasts, in input order. Sessions that end or
begin anew between two records, and whatever is undone, need no care here: the places go with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stream_scorer.ports import Judge
from stream_scorer.records import EVALUATIONS, Evaluation, Outgoing, PendingForecast, Record
from stream_scorer.state.pending_forecasts import Placeholder
from stream_scorer.state.sessions import Sessions

Forecast = tuple[float, float | None, float | None, int | None]


class _Kept(NamedTuple):
    """A record that was kept: what waited for it, and where its own forecast will wait."""

    record: Record
    before: Placeholder | None
    after: Placeholder


class Judging:
    """Stands before the sessions of a scorer: enter, keep and undo are theirs, and each record that is kept is remembered.

    For every batch `begin`, then the records, `made` as forecasts are made, `join` before the sessions rest.
    """

    def __init__(self, sessions: Sessions, judge: Judge) -> None:
        self._sessions, self._judge = sessions, judge
        self._before: Placeholder | None = None
        self._kept: list[_Kept] = []
        self._made: dict[int, Forecast | None] = {}
        self._evaluations: list[Evaluation] = []
        self._inputs: list[float] = []
        self._missed = 0

    def begin(self) -> None:
        """A batch, or the same batch once more: nothing of it has happened."""
        self._kept.clear()
        self._made.clear()

    def enter(self, record: Record) -> None:
        self._sessions.enter(record)
        self._before = self._sessions.pending(record)

    def keep(self, record: Record) -> None:
        self._sessions.keep(record)
        after = Placeholder()
        self._sessions.set_pending(after)
        self._kept.append(_Kept(record, self._before, after))

    def undo(self, record: Record) -> None:
        self._sessions.undo(record)

    def made(self, records: Iterable[Record], data: Iterable[Any]) -> None:
        """The output of each record; of several from one record the last counts."""
        self._made.update(zip(map(id, records), map(self._judge.forecast, data), strict=True))

    def made_one_by_one(self, record: Record, slot: int, datum: Any) -> None:
        """One output of `action`. Judged at once, as the model may change it afterwards."""
        if slot == self._judge.slot:
            self._made[id(record)] = self._judge.forecast(datum)

    def join(self, records: Sequence[Record], values: Sequence[Any], *, published: bool) -> None:
        """Evaluations of the batch, and what waits at its end.

        Args:
            values: decoded, or the error of a record that cannot be.
            published: the batch's forecasts are, or were at their time, on the output; else none of them waits.
        """
        self._evaluations, self._inputs, self._missed = [], [], 0
        kept = iter(self._kept)
        one = next(kept, None)
        for record, value in zip(records, values, strict=True):
            if one is None or one.record is not record:
                continue  # rejected: nothing of it has happened, and what waits goes on waiting
            actual = self._judge.actual(value)
            if actual is not None:
                self._inputs.append(actual)
            waits = self._evaluate(one, value, actual)
            made = None
            if published and id(record) in self._made:
                made = self._pending(record, self._made[id(record)], actual)
            one.after.forecast = made if waits is None else self._of_two(waits, made)
            one = next(kept, None)

    def _evaluate(self, one: _Kept, value: Any, actual: float | None) -> PendingForecast | None:
        """The forecast that goes on waiting, if it does."""
        pending = one.before.forecast if one.before is not None else None
        if pending is None:
            return None
        met = self._judge.met(pending, value)
        if met is None:
            return pending
        if met and actual is not None:
            self._evaluations.append(Evaluation(pending, one.record, actual))
        else:
            self._missed += 1
        return None

    def _of_two(self, waits: PendingForecast, made: PendingForecast | None) -> PendingForecast:
        """One waits at a time: of one moment the last forecast, else the one that will be judged sooner."""
        if made is None:
            return waits
        self._missed += 1
        return made if made.due == waits.due else waits

    def _pending(self, record: Record, forecast: Forecast | None, actual: float | None) -> PendingForecast | None:
        if forecast is None or actual is None:  # nothing to judge, or no forecast of no change to judge it by
            self._missed += 1
            return None
        number, low, high, due = forecast
        return PendingForecast(number, actual, low, high, record.offset, record.timestamp, due)

    def outgoing(self) -> list[Outgoing]:
        """The evaluations of the batch as records to send."""
        data = self._judge.write(self._evaluations)
        return [
            Outgoing(EVALUATIONS, evaluation.source, value)
            for evaluation, value in zip(self._evaluations, data, strict=True)
        ]

    def settle(self) -> None:
        """The batch is committed."""
        self._judge.committed(self._evaluations, self._inputs, self._missed)
        self._evaluations, self._inputs, self._missed = [], [], 0
