"""Joins forecasts with the values that they were of, within one batch.

A forecast waits in its session for the record that it is of: the next one, or one of a later moment. Within a batch the
forecast does not exist yet when the next record comes, as all windows are forecast at the end of the batch. So a record
takes a placeholder, which is filled later; the joins are made after the forecasts, in input order. If a session ends,
begins anew or is rolled back between two records, its placeholders go with it: nothing is to be done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stream_scorer.ports import Judge
from stream_scorer.records import EVALUATIONS, Evaluation, Outgoing, PendingForecast, Record
from stream_scorer.state.pending_forecasts import Placeholder
from stream_scorer.state.sessions import Sessions

Forecast = tuple[float, float | None, float | None, int | None]
"""As `Judge.forecast` returns it."""


class _Kept(NamedTuple):
    """A record that was not rejected: the forecast that waited before it, and the place of its own forecast."""

    record: Record
    before: Placeholder | None
    after: Placeholder


class Judging:
    """Has `enter`, `keep` and `undo` of the sessions of a scorer, and remembers each record that is kept.

    For every batch: `begin`; enter, keep or undo for each record, and `made` for the forecasts; then `join`, before
    `Sessions.end_batch`.
    """

    def __init__(self, sessions: Sessions, judge: Judge) -> None:
        self._sessions, self._judge = sessions, judge
        self._before: Placeholder | None = None
        self._kept: list[_Kept] = []
        self._made: dict[int, Forecast | None] = {}  # by id() of the record
        self._evaluations: list[Evaluation] = []
        self._inputs: list[float] = []
        self._missed = 0

    def begin(self) -> None:
        """A batch begins, maybe the same one once more: nothing of it has happened."""
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
        """One output for each of these records. Of several outputs of one record the last counts."""
        self._made.update(zip(map(id, records), map(self._judge.forecast, data), strict=True))

    def made_one_by_one(self, record: Record, slot: int, datum: Any) -> None:
        """One output of `action`. Read at once, as the model may change it afterwards."""
        if slot == self._judge.slot:
            self._made[id(record)] = self._judge.forecast(datum)

    def join(self, records: Sequence[Record], values: Sequence[Any], *, published: bool) -> None:
        """Makes the evaluations of the batch, and sets the forecast that waits after each record.

        Args:
            values: the decoded value of each record, or its error.
            published: whether the batch's forecasts are published, or were at their time; if not, none of them waits.
        """
        self._evaluations, self._inputs, self._missed = [], [], 0
        all_kept = iter(self._kept)
        kept = next(all_kept, None)
        for record, value in zip(records, values, strict=True):
            if kept is None or kept.record is not record:
                continue  # rejected: nothing of it has happened, and the forecast goes on waiting
            actual = self._judge.actual(value)
            if actual is not None:
                self._inputs.append(actual)
            waits = self._evaluate(kept, value, actual)
            made = None
            if published and id(record) in self._made:
                made = self._pending(record, self._made[id(record)], actual)
            kept.after.forecast = made if waits is None else self._choose(waits, made)
            kept = next(all_kept, None)

    def _evaluate(self, kept: _Kept, value: Any, actual: float | None) -> PendingForecast | None:
        """Judges the forecast that waited. Returns it if it goes on waiting, else None."""
        pending = kept.before.forecast if kept.before is not None else None
        if pending is None:
            return None
        met = self._judge.met(pending, value)
        if met is None:
            return pending
        if met and actual is not None:
            self._evaluations.append(Evaluation(pending, kept.record, actual))
        else:
            self._missed += 1
        return None

    def _choose(self, waits: PendingForecast, made: PendingForecast | None) -> PendingForecast:
        """Only one forecast waits: of two of the same moment the later one, else the one that will be judged sooner."""
        if made is None:
            return waits
        self._missed += 1
        return made if made.due == waits.due else waits

    def _pending(self, record: Record, forecast: Forecast | None, actual: float | None) -> PendingForecast | None:
        if forecast is None or actual is None:  # nothing to judge, or no last value to compare it with
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
