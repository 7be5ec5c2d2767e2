"""Runs one model in this process by the ModelOp contract. Sections [b] and [c]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from typing import Any

from stream_scorer.errors import ModelError, RecordError, SchemaError, is_for_the_host
from stream_scorer.jets.outputs import OnReject, Outputs
from stream_scorer.jets.recordsets import make_set
from stream_scorer.jets.results import Failure, Fed, ModelFailed, shown_input, shown_record, trace
from stream_scorer.jets.slots import Slots
from stream_scorer.model import callbacks
from stream_scorer.model.program import Program
from stream_scorer.model.state_names import find_state
from stream_scorer.ports import SlotCodec
from stream_scorer.records import Cut

MODEL_ERRORS = BaseException
"""What ends a model and not its host: all but what is for the host, which is raised again."""


class Runner:
    """One model: `load` its body, `begin`, `feed` it cuts, `end`; an explicit model is `run` instead.

    In the model's own directory, with its `fastscore` to be imported. After a failure it is not to be called again.

    Args:
        codecs: of every slot in use.
        encodings: by slot, for the input that a failure shows.
        progress: its first item is the number of the record in the cut that the model has in hand, from 1.
        on_reject: told of each record that is rejected: slot, the undecoded record (None of an output), why.
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
        self.outputs = Outputs(self.annotations, codecs, on_reject)
        self._on_reject = on_reject
        self.namespace: dict[str, Any] = {}
        self._decoders = {slot: codecs[slot].decode for slot in self.annotations.inputs if slot in codecs}
        self._encodings = encodings
        self._progress = [0] if progress is None else progress
        self._calls: dict[int, tuple[Callable[..., Any], int, str]] = {}

    def load(self) -> None:
        """Run the module body and find the callbacks. Raises ModelFailed, ModelError."""
        names = {slot: callbacks.action_names(self.program, slot) for slot in self.annotations.inputs}
        entries = [*callbacks.begin_names(self.program), "end", *(name for some in names.values() for name in some)]
        self.namespace = self._guard("the module body", lambda: self.program.execute(dict.fromkeys(entries)))
        for slot, some in names.items():
            found = callbacks.required(self.program, self.namespace, some, slot)
            shown = next(name for name in some if self.namespace.get(name) is found)
            self._calls[slot] = found, callbacks.arity(self.program, found, shown), shown

    def begin(self, definition: dict[str, Any]) -> None:
        """Raises ModelFailed."""
        begin = callbacks.function(self.namespace, *callbacks.begin_names(self.program))
        if begin is not None:
            self._guard("begin()", lambda: callbacks.call_begin(begin, definition))

    def end(self) -> Fed:
        """What a generator yields are outputs; what a plain function returns is none."""
        end = callbacks.function(self.namespace, "end")
        if end is not None:
            try:
                result = end()
                for output in result if isinstance(result, Iterator) else ():
                    self.outputs.emit(output)
            except MODEL_ERRORS as error:
                return self._failed("end()", error, None)
        return self.outputs.take()

    def feed(self, cut: Cut) -> Fed:
        """One cut of one slot: record by record, or as one set."""
        if cut.slot not in self._decoders:
            raise ModelError(f"{self.program.path}: there is no input slot {cut.slot} in use.")
        if cut.slot in self.annotations.recordsets:
            return self._feed_set(cut)
        return self._feed_records(cut)

    def run(self, slots: Slots) -> Fed:
        """The module body of an explicit model, which reads and writes its slots by `slots`."""
        try:
            self.namespace = self.program.execute(())
        except MODEL_ERRORS as error:
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return self.outputs.take()
            return self._failed("the module body", error, slots.last_input())
        return self.outputs.take()

    def state_names(self) -> tuple[str, ...]:
        """Globals that are the model's state: what its comment says, else what its code shows."""
        named = self.annotations.state
        if named is not None:
            return named
        entries = [name for _, _, name in self._calls.values()]
        entries += [callbacks.defined_as(call) for call, _, _ in self._calls.values()]
        return find_state(self.program.source, entries)

    def _feed_records(self, cut: Cut) -> Fed:
        slot, first, records, _ = cut
        call, arity, name = self._calls[slot]
        decode, emit, progress = self._decoders[slot], self.outputs.emit, self._progress
        seqno = first
        for number, record in enumerate(records, 1):
            progress[0] = number
            try:
                value = decode(record)
            except RecordError as error:
                self._reject(slot, record, error)
                continue
            try:
                if arity == 1:
                    result = call(value)
                elif arity == 2:
                    result = call(value, slot)
                else:
                    result = call(value, slot, seqno)
                if result is not None:
                    if isinstance(result, Iterator):
                        for output in result:
                            emit(output)
                    else:
                        emit(result)
            except MODEL_ERRORS as error:
                return self._failed(f"{name}()", error, (slot, seqno, [record], len(records)))
            seqno += 1
        progress[0] = 0
        return self.outputs.take()

    def _feed_set(self, cut: Cut) -> Fed:
        values = self.decoded(cut)
        if not values and (cut.end is None or cut.end.kind != "set"):
            return self.outputs.take()
        call, arity, name = self._calls[cut.slot]
        self._progress[0] = 1
        try:
            arguments = (make_set(values), cut.slot, cut.first)[:arity]
            for output in callbacks.outputs(call(*arguments)):
                self.outputs.emit(output)
        except MODEL_ERRORS as error:
            return self._failed(f"{name}()", error, (cut.slot, cut.first, cut.records, len(cut.records)))
        self._progress[0] = 0
        return self.outputs.take()

    def decoded(self, cut: Cut) -> list[Any]:
        """Values of a cut without those that are rejected."""
        values = []
        for record in cut.records:
            try:
                values.append(self._decoders[cut.slot](record))
            except RecordError as error:
                self._reject(cut.slot, record, error)
        return values

    def _reject(self, slot: int, record: bytes, error: RecordError) -> None:
        by = "schema" if isinstance(error, SchemaError) else "encoding"
        self.outputs.fed.reject(by, slot, lambda: shown_record(record, self._encodings.get(slot)))
        if self._on_reject is not None:
            self._on_reject(slot, record, error)

    def _failed(self, where: str, error: BaseException, last: tuple[int, int, Iterable[bytes], int] | None) -> Fed:
        """What came before stands."""
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
