"""A host with codecs, counts and rejects around it: takes batches of records, gives records. Sections [b] and [c]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableSequence
from typing import Any

from stream_scorer.errors import ModelError, RecordError, SchemaError, is_for_the_host
from stream_scorer.model.host import Host
from stream_scorer.model.program import Program
from stream_scorer.modelop.process.explicit_slots import Slots
from stream_scorer.modelop.process.outputs import OnReject, Outputs
from stream_scorer.modelop.process.results import Failure, Fed, ModelFailed, shown_input, shown_record, trace
from stream_scorer.ports import SlotCodec
from stream_scorer.records import Batch

MODEL_ERRORS = BaseException
"""What a failing model may raise; of these, `is_for_the_host` errors are raised again."""


class Runner:
    """One model: `load` its body, `begin`, `feed` it batches, `end`; an explicit model is `run` instead.

    To be used in the model's own directory, with its `fastscore` importable. Do not call it again after a failure.

    Args:
        codecs: of every slot in use.
        encodings: by slot, to show the input of a failure.
        progress: its first item is set to the number, from 1, of the record in the batch that the model has in hand.
        on_reject: called for each record that is rejected: slot, the undecoded record (None for an output), the error.
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
        """Run the module body and find the callbacks. Raises ModelFailed, ModelError."""
        self._guard("the module body", self._host.execute)
        self._host.find_callbacks()

    def begin(self, definition: dict[str, Any]) -> None:
        """Raises ModelFailed."""
        self._guard("begin()", lambda: self._host.begin(definition))

    def end(self) -> Fed:
        try:
            self._host.end(self.outputs.write)
        except MODEL_ERRORS as error:
            return self._failed("end()", error, None)
        return self.outputs.take()

    def feed(self, batch: Batch) -> Fed:
        """One batch of one slot: record by record, or as one set."""
        if batch.slot not in self._decoders:
            raise ModelError(f"{self.program.path}: there is no input slot {batch.slot} in use.")
        if batch.slot in self.annotations.recordsets:
            return self._feed_set(batch)
        return self._feed_records(batch)

    def run(self, slots: Slots) -> Fed:
        """Execute the body of an explicit model, which reads and writes its slots through `slots`. Blocks until it ends."""
        try:
            self._host.execute()
        except MODEL_ERRORS as error:
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return self.outputs.take()
            return self._failed("the module body", error, slots.last_input())
        return self.outputs.take()

    def state_names(self) -> tuple[str, ...]:
        return self._host.state_names()

    def _feed_records(self, batch: Batch) -> Fed:
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
                last = slot, first + number - 1 - rejected, [record], len(records)
                return self._failed(f"{self._host.callback_names[slot]}()", error, last)
        progress[0] = 0
        return self.outputs.take()

    def _feed_set(self, batch: Batch) -> Fed:
        values = self.decoded(batch)
        if not values and batch.closed_by != "set":
            return self.outputs.take()
        self._progress[0] = 1
        self._host.begin_at(batch.slot, batch.first)
        try:
            self._host.give_set(batch.slot, values, self.outputs.write)
        except MODEL_ERRORS as error:
            last = batch.slot, batch.first, batch.records, len(batch.records)
            return self._failed(f"{self._host.callback_names[batch.slot]}()", error, last)
        self._progress[0] = 0
        return self.outputs.take()

    def decoded(self, batch: Batch) -> list[Any]:
        """Decoded values of a batch, without the records that are rejected."""
        values = []
        for record in batch.records:
            try:
                values.append(self._decoders[batch.slot](record))
            except RecordError as error:
                self._reject(batch.slot, record, error)
        return values

    def _reject(self, slot: int, record: bytes, error: RecordError) -> None:
        by = "schema" if isinstance(error, SchemaError) else "encoding"
        self.outputs.fed.reject(by, slot, lambda: shown_record(record, self._encodings.get(slot)))
        if self._on_reject is not None:
            self._on_reject(slot, record, error)

    def _failed(self, where: str, error: BaseException, last: tuple[int, int, Iterable[bytes], int] | None) -> Fed:
        """The outputs before the failure, with the failure in them."""
        if is_for_the_host(error):
            raise error
        fed = self.outputs.take()
        shown = None
        if last is not None:
            slot, seqno, records, batch_len = last
            shown = shown_input(slot, seqno, list(records), batch_len, self._encodings.get(slot))
        fed.failure = Failure(where, trace(error), shown)
        return fed

    def _guard(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except MODEL_ERRORS as error:
            if is_for_the_host(error):
                raise
            line = self.program.line_of(error)
            where = f"{self.program.path.name}{f':{line}' if line else ''}"
            failure = Failure(what, trace(error), None)
            raise ModelFailed(f"{where}: {what} raised {failure.reason}", failure) from error
