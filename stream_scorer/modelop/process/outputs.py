"""Encodes the outputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.errors import ActionError, EncodeError, RecordError, SchemaError, no_output_text
from stream_scorer.model.host import Host
from stream_scorer.model.recordsets import is_set, plain, records_of
from stream_scorer.modelop.process.results import CallResult, shown_value
from stream_scorer.modelop.streams.envelopes import MAX_RECORD
from stream_scorer.ports import SlotCodec
from stream_scorer.records import Control

PART_BYTES = 4 << 20
"""A call whose outputs reach this size hands them on, so that a generator of any length takes no more memory."""

OnReject = Callable[[int, bytes | None, RecordError], None]


class Outputs:
    """Encodes the outputs of one model and keeps them in `result` until `take` (rules `b.slot-datum`, `b.bad-slot`).

    Args:
        on_reject: called for each rejected output with its slot, None and the error.

    Attributes:
        hand_on: called when PART_BYTES wait; it calls `take_part`. None: all outputs of a call stay here until `take`.
    """

    hand_on: Callable[[], None] | None = None

    def __init__(self, host: Host, codecs: Mapping[int, SlotCodec], on_reject: OnReject | None = None) -> None:
        self._on_reject = on_reject
        self.result = CallResult()
        self._waiting = 0  # bytes of the outputs in `result`
        self._in_use = in_use = host.annotations.outputs
        self._sets = host.annotations.recordsets
        self._codecs = {slot: codecs[slot] for slot in in_use if slot in codecs}
        self._emitters: dict[int, Callable[[Any], None]] = {
            slot: self._set_emitter(slot) if slot in self._sets else self._emitter(slot) for slot in self._codecs
        }

    def take(self) -> CallResult:
        """Return outputs and rejects since the last call."""
        result, self.result = self.result, CallResult()
        self._waiting = 0
        return result

    def take_part(self) -> list[tuple[int, bytes]]:
        """Return the outputs of a call that goes on. Its counts stay. May be called while another thread writes."""
        outputs = self.result.outputs
        taken = outputs[:]
        del outputs[: len(taken)]  # the model may have added others, behind these
        self._waiting = 0
        return taken

    def write(self, slot: int, datum: Any) -> None:
        """Raises ActionError: no such slot, or the datum is not a record set where one is needed."""
        emitter = self._emitters.get(slot)
        if emitter is None:
            raise ActionError(no_output_text(slot, self._in_use))
        emitter(datum)

    def write_explicit(self, slot: int, datum: Any) -> None:
        """Take the argument of `Slot.write`. If the slot's schema refuses a set as one record, each element is a record."""
        codec = self._codecs.get(slot)
        if codec is not None and slot not in self._sets and is_set(datum):
            try:
                codec.encode(plain(datum))
            except EncodeError as error:
                if _by_schema(error):
                    for record in records_of(datum):
                        self.write(slot, plain(record))
                    return
        self.write(slot, datum if slot in self._sets else plain(datum))

    def _emitter(self, slot: int) -> Callable[[Any], None]:
        encode = self._codecs[slot].encode

        def emit(datum: Any) -> None:
            result = self.result
            try:
                record = encode(datum)
            except EncodeError as error:
                result.reject("schema" if _by_schema(error) else "encoding", slot, lambda: shown_value(datum))
                if self._on_reject is not None:
                    self._on_reject(slot, None, error)
                return
            self._waiting += len(record)
            if self._waiting >= PART_BYTES and len(record) > MAX_RECORD:
                self._waiting -= len(record)
                result.reject(
                    "encoding", slot, lambda: f"an output of {len(record):,} bytes; at most {MAX_RECORD:,} go"
                )
                return
            result.outputs.append((slot, record))
            result.output_count[slot] = result.output_count.get(slot, 0) + 1
            if self._waiting >= PART_BYTES and self.hand_on is not None:
                self.hand_on()

        return emit

    def _set_emitter(self, slot: int) -> Callable[[Any], None]:
        emit, marker = self._emitter(slot), self._codecs[slot].write_control(Control("set"))

        def emit_set(value: Any) -> None:
            for record in records_of(value):
                emit(plain(record))
            if marker is not None:
                self.result.outputs.append((slot, marker))

        return emit_set


def _by_schema(error: EncodeError) -> bool:
    return isinstance(error.__cause__, SchemaError)
