"""Runs a model on undecoded records: decodes them, calls the host, encodes outputs, counts rejects.

Rules `b` (entry points) and `c` (record sets) of `docs/conformance.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence
from typing import Any, NamedTuple

from stream_scorer.errors import ModelError, RecordError, SchemaError, is_for_the_host
from stream_scorer.model.host import Host
from stream_scorer.model.program import Program
from stream_scorer.modelop.process.outputs import OnReject, Outputs
from stream_scorer.modelop.process.results import CallResult, Failure, ModelFailed, shown_input, shown_record, trace
from stream_scorer.ports import SlotCodec
from stream_scorer.records import Batch

MODEL_ERRORS = BaseException
"""What a failing model may raise; `is_for_the_host` errors among them are raised again."""


class LastInput(NamedTuple):
    """What a model was given last: `records` of a batch of `batch_len` records, the first with sequence number `seqno`."""

    slot: int
    seqno: int
    records: list[bytes]
    batch_len: int


class Runner:
    """One model: `load` its body, `begin`, `feed` it batches, `end`; an explicit model is `run` instead.

    Not safe from several threads. The process stands in the model's directory, and the model can import `fastscore`. A
    runner that has failed is not called again.

    Args:
        codecs: of every slot in use.
        encodings: of every slot in use, to show the input of a failure.
        progress: its first item becomes the number, from 1, of the record of the batch that the model works on; 0 for none.
        on_reject: called for each rejected record with its slot, the undecoded record (None for an output) and the error.
    """

    def __init__(
        self,
        program: Program,
        codecs: Mapping[int, SlotCodec],
        encodings: Mapping[int, str | None],
        progress: MutableSequence[int] | Any = None,
        on_reject: OnReject | None = None,
    ) -> None:
        self.program = program
        self.annotations = program.annotations
        self._host = host = Host(program)
        self.outputs = Outputs(host, codecs, on_reject)
        self._on_reject = on_reject
        self._decoders = {slot: codecs[slot].decode for slot in self.annotations.inputs if slot in codecs}
        self._encodings = encodings
        self._progress = [0] if progress is None else progress

    @property
    def namespace(self) -> dict[str, Any]:
        return self._host.namespace

    def load(self) -> None:
        """Run the module body and find the callbacks. Raises ModelFailed, ModelError (a callback is missing)."""
        self._guard("the module body", self._host.execute)
        self._host.find_callbacks()

    def begin(self, definition: dict[str, Any]) -> None:
        """Call the model's `begin`. Raises ModelFailed."""
        self._guard("begin()", lambda: self._host.begin(definition))

    def end(self) -> CallResult:
        """Call the model's `end`."""
        try:
            self._host.end(self.outputs.write)
        except MODEL_ERRORS as error:
            return self._failed("end()", error, None)
        return self.outputs.take()

    def feed(self, batch: Batch) -> CallResult:
        """Give the model one batch, record by record or as one record set. Raises ModelError: no such input slot."""
        if batch.slot not in self._decoders:
            raise ModelError(f"{self.program.path}: there is no input slot {batch.slot} in use.")
        if batch.slot in self.annotations.recordsets:
            return self._feed_set(batch)
        return self._feed_records(batch)

    def run(self, last_input: Callable[[], LastInput | None]) -> CallResult:
        """Execute the body of an explicit model. Blocks until it returns.

        `last_input` returns what the model has read last, to be shown if it fails.
        """
        try:
            self._host.execute()
        except MODEL_ERRORS as error:
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return self.outputs.take()
            return self._failed("the module body", error, last_input())
        return self.outputs.take()

    def state_names(self) -> tuple[str, ...]:
        return self._host.state_names()

    def _feed_records(self, batch: Batch) -> CallResult:
        slot, first, records, _ = batch
        give, decode, write, progress = self._host.give, self._decoders[slot], self.outputs.write, self._progress
        self._host.begin_at(slot, first)
        rejected = 0
        for number, record in enumerate(records, 1):
            progress[0] = number
            try:
                value = decode(record)
            except RecordError as error:
                self._reject(slot, record, error)
                rejected += 1
                continue
            try:
                give(slot, value, write)
            except MODEL_ERRORS as error:
                last = LastInput(slot, first + number - 1 - rejected, [record], len(records))
                return self._failed(f"{self._host.callback_names[slot]}()", error, last)
        progress[0] = 0
        return self.outputs.take()

    def _feed_set(self, batch: Batch) -> CallResult:
        values = self.decoded(batch)
        if not values and batch.closed_by != "set":
            return self.outputs.take()
        self._progress[0] = 1
        self._host.begin_at(batch.slot, batch.first)
        try:
            self._host.give_set(batch.slot, values, self.outputs.write)
        except MODEL_ERRORS as error:
            last = LastInput(batch.slot, batch.first, batch.records, len(batch.records))
            return self._failed(f"{self._host.callback_names[batch.slot]}()", error, last)
        self._progress[0] = 0
        return self.outputs.take()

    def decoded(self, batch: Batch) -> list[Any]:
        """Return the decoded values of a batch, without the records that are rejected."""
        values = []
        for record in batch.records:
            try:
                values.append(self._decoders[batch.slot](record))
            except RecordError as error:
                self._reject(batch.slot, record, error)
        return values

    def _reject(self, slot: int, record: bytes, error: RecordError) -> None:
        by = "schema" if isinstance(error, SchemaError) else "encoding"
        self.outputs.result.reject(by, slot, lambda: shown_record(record, self._encodings.get(slot)))
        if self._on_reject is not None:
            self._on_reject(slot, record, error)

    def _failed(self, where: str, error: BaseException, last: LastInput | None) -> CallResult:
        """Return the outputs before the failure, and the failure."""
        if is_for_the_host(error):
            raise error
        result = self.outputs.take()
        shown = None
        if last is not None:
            shown = shown_input(last.slot, last.seqno, last.records, last.batch_len, self._encodings.get(last.slot))
        result.failure = Failure(where, trace(error), shown)
        return result

    def _guard(self, where: str, call: Callable[[], None]) -> None:
        try:
            call()
        except MODEL_ERRORS as error:
            if is_for_the_host(error):
                raise
            line = self.program.line_of(error)
            place = f"{self.program.path.name}{f':{line}' if line else ''}"
            failure = Failure(where, trace(error), None)
            raise ModelFailed(f"{place}: {where} raised {failure.reason}", failure) from error
