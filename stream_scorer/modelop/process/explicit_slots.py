"""`fastscore.io.Slot`: how an explicit model reads and writes its streams. Section [b]."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from stream_scorer.errors import ActionError
from stream_scorer.model.recordsets import make_set
from stream_scorer.modelop.process.results import Fed
from stream_scorer.records import Batch

if TYPE_CHECKING:
    from stream_scorer.modelop.process.runner import Runner

FORMATS = ("pandas", "pandas.standard")


class Slots:
    """The streams of one explicit model.

    Args:
        read: the next batch of an input slot; None at its end. Blocks.
        flush: takes what has come of it since the last time.
    """

    def __init__(
        self,
        runner: Runner,
        read: Callable[[int], Batch | None],
        flush: Callable[[Fed], None],
    ) -> None:
        self._runner, self._read, self._flush = runner, read, flush
        self._ended: set[int] = set()
        self._last: Batch | None = None

    def read(self, slot: int) -> tuple[Any, int] | None:
        """The next set of a slot and the number of its first record; None at the end."""
        if slot not in self._runner.annotations.inputs:
            raise ActionError(f"Slot({slot}).read(): slot {slot} is no input in use. Inputs are {self._inputs()}.")
        while slot not in self._ended:
            self._pass_on()
            batch = self._read(slot)
            if batch is None:
                self._ended.add(slot)
                break
            values = self._runner.decoded(batch)
            if values or batch.closed_by == "set":
                self._last = batch
                return make_set(values), batch.first
        return None

    def write(self, slot: int, value: Any) -> None:
        self._runner.outputs.write_explicit(slot, value)
        self._pass_on()

    def _pass_on(self) -> None:
        outputs = self._runner.outputs
        if outputs.fed.outputs or outputs.fed.rejected:
            self._flush(outputs.take())

    def last_input(self) -> tuple[int, int, list[bytes], int] | None:
        if self._last is None:
            return None
        return self._last.slot, self._last.first, self._last.records, len(self._last.records)

    def _inputs(self) -> str:
        return ", ".join(map(str, self._runner.annotations.inputs)) or "none"


def slot_class(slots: Slots) -> type:
    """The class that `from fastscore.io import Slot` gives to the model."""

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
            found = slots.read(self.n)
            return found if found is None or with_seqno else found[0]

        def write(self, rec: Any) -> None:
            """One record, or with record sets on a DataFrame, Series or matrix."""
            slots.write(self.n, rec)

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> Any:
            found = self.read()
            if found is None:
                raise StopIteration
            return found

        next = __next__

    Slot.__module__ = "fastscore.io"
    Slot.__qualname__ = "Slot"
    return Slot
