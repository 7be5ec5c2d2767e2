"""`fastscore.io.Slot`, by which an explicit model reads and writes its streams (rules `b.explicit-...`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from stream_scorer.errors import ActionError
from stream_scorer.model.recordsets import make_set
from stream_scorer.modelop.process.results import CallResult
from stream_scorer.modelop.process.runner import LastInput, Runner
from stream_scorer.records import Batch

FORMATS = ("pandas", "pandas.standard")


class Slots:
    """The streams of one explicit model.

    Args:
        read: returns the next batch of an input slot, None at the end of its stream. May block.
        flush: takes the outputs and rejects since its last call. May block.
    """

    def __init__(
        self,
        runner: Runner,
        read: Callable[[int], Batch | None],
        flush: Callable[[CallResult], None],
    ) -> None:
        self._runner, self._read, self._flush = runner, read, flush
        self._at_end: set[int] = set()  # slots whose stream is at its end
        self._last: Batch | None = None

    def read(self, slot: int) -> tuple[Any, int] | None:
        """Return the next set of a slot and the number of its first record; None at the end. Blocks."""
        if slot not in self._runner.annotations.inputs:
            raise ActionError(f"Slot({slot}).read(): slot {slot} is not an input in use. Inputs are {self._inputs()}.")
        while slot not in self._at_end:
            self._flush_results()
            batch = self._read(slot)
            if batch is None:
                self._at_end.add(slot)
                break
            values = self._runner.decoded(batch)
            if values or batch.closed_by == "set":
                self._last = batch
                return make_set(values), batch.first
        return None

    def write(self, slot: int, value: Any) -> None:
        self._runner.outputs.write_explicit(slot, value)
        self._flush_results()

    def _flush_results(self) -> None:
        outputs = self._runner.outputs
        if outputs.result.outputs or outputs.result.rejected:
            self._flush(outputs.take())

    def last_input(self) -> LastInput | None:
        if self._last is None:
            return None
        return LastInput(self._last.slot, self._last.first, self._last.records, len(self._last.records))

    def _inputs(self) -> str:
        return ", ".join(map(str, self._runner.annotations.inputs)) or "none"


def slot_class(slots: Slots) -> type:
    """Return the class that the model gets by `from fastscore.io import Slot`."""

    class Slot:
        """One slot of the model, by its number: even ones are read, odd ones written."""

        def __init__(self, n: int) -> None:
            self.n = int(n)

        def read(self, format: str = "pandas", with_seqno: bool = False) -> Any:  # noqa: A002 - the name models use
            """The next batch as a DataFrame, Series or matrix; None at the end.

            With `with_seqno` a pair: the batch and the sequence number of its first record.
            """
            if format not in FORMATS:
                raise ValueError(f"Slot.read(): no format {format!r}. There are {', '.join(map(repr, FORMATS))}.")
            batch = slots.read(self.n)
            return batch if batch is None or with_seqno else batch[0]

        def write(self, rec: Any) -> None:
            """One record, or with record sets on a DataFrame, Series or matrix."""
            slots.write(self.n, rec)

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> Any:
            batch = self.read()
            if batch is None:
                raise StopIteration
            return batch

        next = __next__

    Slot.__module__ = "fastscore.io"
    Slot.__qualname__ = "Slot"
    return Slot
