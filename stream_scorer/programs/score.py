"""The composition root of `stream-scorer score`: opens the streams and the model, scores in this process, closes both.

`score` opens the streams first, then the sandbox and the model, and closes them in the reverse order. It blocks until the
input streams end or a signal comes, and returns the exit code. Two hosts run models: the service's scorer, and a jet's
runner for models and streams that need an engine.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

from stream_scorer.errors import EXIT_NOTHING, ModelError, RecordError
from stream_scorer.model.host import definition_of
from stream_scorer.model.locate import locate
from stream_scorer.model.module import needs_an_engine
from stream_scorer.model.program import Program
from stream_scorer.model.sandbox import sandbox
from stream_scorer.model.trust import CHECKED, Trust, attached
from stream_scorer.modelop.process.explicit_slots import Slots, slot_class
from stream_scorer.modelop.process.fastscore import importable
from stream_scorer.modelop.process.results import CallResult, ModelFailed
from stream_scorer.modelop.process.runner import Runner
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.programs import score_streams
from stream_scorer.programs.score_streams import Pipes
from stream_scorer.records import Batch, Partition, Record, Reject
from stream_scorer.safe_text import one_line, say
from stream_scorer.scoring.hosting import HostedModel, Wired, host_model
from stream_scorer.system.signals import stopping

log = logging.getLogger(__name__)

SERVICE_BATCH, ENGINE_BATCH = 1024, 1000
"""Most records of stdin in one batch: with the service's scorer, and as in an engine."""
_STDIN = Partition("stdin", 0)


def score(
    model: str,
    attachment: Path | None,
    schema_files: Mapping[str, Path],
    descriptors: Mapping[int, Any],
    stdin: int,
    out: BinaryIO,
    rejects: TextIO,
    batch: int | None = None,
    trust: Trust = CHECKED,
) -> int:
    """Run a model until its inputs end or a signal comes. Blocks. Returns the exit code; closes all that it opened.

    If the model takes one input, one record at a time, and no descriptors are given, the service's scorer runs it: a
    record on which the model fails is rejected and leaves no trace. Otherwise it runs as in an engine: a failure of the
    model ends the run.

    Args:
        model, attachment, trust: as in `locate`. schema_files: absolute paths of Avro schemas by name.
        descriptors: ModelOp stream descriptors by slot. The first input without one is read from fd `stdin`,
            outputs without one are written to `out`: JSON, a record a line.
        rejects: gets a line for each record that does not fit, and the traceback of a model that fails.
        batch: most records of `stdin` that go to the model together.
    Raises:
        SettingsError, ModelError, TransportError.
    """
    located = locate(model, attachment, trust)
    program = located.program
    simple = not descriptors and needs_an_engine(program) is None
    batch = batch or (SERVICE_BATCH if simple else ENGINE_BATCH)
    streams = score_streams.streams_of(program, descriptors, located, schema_files, batch)
    with contextlib.ExitStack() as stack:
        pipes = _opened_pipes(stack, streams, program, descriptors, stdin, out, rejects, blank=simple)
        host: _Host
        if simple:
            hosted = stack.enter_context(host_model(located, schema_files, endless=False))
            host = _ServiceHost(pipes, hosted)
        else:
            copy = stack.enter_context(attached(located.attachment, located.sha256))
            stack.enter_context(sandbox(copy and copy.path))
            host = _EngineHost(pipes, program, streams, located.attachments)
        return _run(host, pipes)


def _opened_pipes(
    stack: contextlib.ExitStack,
    streams: Mapping[int, Stream],
    program: Program,
    descriptors: Mapping[int, Any],
    stdin: int,
    out: BinaryIO,
    rejects: TextIO,
    *,
    blank: bool,
) -> Pipes:
    """Open all streams; `stack` closes them."""
    inlets = score_streams.open_inlets(streams, program, descriptors, stdin, blank=blank)
    outlets = score_streams.open_outlets(streams, descriptors, out)
    for close in [inlet.close for inlet in inlets.values()] + [outlet.close for outlet in outlets.values()]:
        stack.callback(close)
    return Pipes(streams, inlets, outlets, rejects)


def _run(host: _Host, pipes: Pipes) -> int:
    """Run until the streams end or a signal comes. Returns the exit code."""
    with stopping() as signals:
        signals.call_on_stop(pipes.stop)
        host.run()
        pipes.finish()
    if text := pipes.came_to_nothing():
        say(f"stream-scorer score: {one_line(text)}", file=sys.stderr)
        return signals.code or EXIT_NOTHING
    return signals.code


class _Host(Protocol):
    def run(self) -> None:
        """Score until the streams end or `Pipes.stop` is called. Raises ModelError, TransportError."""


class _ServiceHost:
    """Scores with the service's scorer and one session."""

    def __init__(self, pipes: Pipes, hosted: HostedModel) -> None:
        self._pipes, self._module = pipes, hosted.module
        self._wired = self._wire(hosted)
        self._line = 0  # number of the next line, from 0; blank lines and control records are lines too

    def _wire(self, hosted: HostedModel) -> Wired:
        """A model whose state cannot be saved is not refused, as nothing is saved here."""
        try:
            return hosted.wire_json(strict=False, by_key=False)
        except ModelError as error:
            log.warning("%s Until then, what a rejected record changes in the state is not undone.", error)
            self._module.state_names = ()
            return hosted.wire_json(strict=False, by_key=False)

    def run(self) -> None:
        for batch in self._pipes.batches():
            self._feed(batch)
        outputs: list[tuple[int, bytes]] = []
        self._module.end(lambda slot, datum: self._give(outputs, slot, datum))
        self._pipes.write(outputs)

    def _feed(self, batch: Batch) -> None:
        lines = enumerate(batch.records, self._line)
        self._line += len(batch.records) + (batch.control is not None)
        records = [Record(_STDIN, at, None, line, None, None) for at, line in lines if line.strip()]
        scored = self._wired.score(records, [])
        for outcome in scored:
            if isinstance(outcome, Reject):
                self._reject(outcome)
        outputs = [(output.slot, output.value or b"null") for output in scored if not isinstance(output, Reject)]
        self._pipes.write(outputs, len(records))

    def _reject(self, reject: Reject) -> None:
        source = reject.source
        value = (source.value or b"").decode(errors="replace").strip()
        self._pipes.reject(
            f"stdin:{source.offset + 1}: {reject.reason} The line: {value[:200]}",
            first=reject.line,
            output=False,
        )

    def _give(self, outputs: list[tuple[int, bytes]], slot: int, datum: Any) -> None:
        """Encode one output of the model's `end`, or reject it."""
        try:
            outputs.append((slot, self._wired.scorer.encode(slot, datum)))
        except RecordError as error:
            line = f"slot {slot}: {error.stage}: {error}"
            self._pipes.reject(line, first=line, output=True)


class _EngineHost:
    """Runs the model as a jet of an engine does, in this process."""

    def __init__(self, pipes: Pipes, program: Program, streams: Mapping[int, Stream], attachments: list[str]) -> None:
        self._pipes, self._program = pipes, program
        self._definition = definition_of(program.name, "python3", attachments)
        encodings = {slot: stream.encoding for slot, stream in streams.items()}
        self._runner = Runner(program, pipes.codecs, encodings, on_reject=self._reject)
        self._unnumbered = dict.fromkeys(program.annotations.inputs, 0)  # rejected records, which take no number

    def run(self) -> None:
        runner, explicit = self._runner, self._program.annotations.explicit
        slots = Slots(runner, self._read, self._take)
        with importable(SharedState(), slot_class(slots) if explicit else None):
            if explicit:
                self._take(runner.run(slots.last_input))
                return
            runner.load()
            runner.begin(self._definition)
            for batch in self._pipes.batches():
                self._take(runner.feed(self._numbered(batch)))
            self._take(runner.end())

    def _read(self, slot: int) -> Batch | None:
        batch = self._pipes.read(slot)
        return None if batch is None else self._numbered(batch)

    def _numbered(self, batch: Batch) -> Batch:
        self._pipes.write((), len(batch.records))
        return batch._replace(first=batch.first - self._unnumbered[batch.slot])

    def _take(self, result: CallResult) -> None:
        self._pipes.write(result.outputs)
        failure = result.failure
        if failure is not None:
            shown = "" if failure.input is None else f" The input: {json.dumps(failure.input)[:2000]}"
            self._pipes.tell(failure.traceback.rstrip())
            raise ModelFailed(f"{self._program.path}: {failure.where} failed: {failure.reason}.{shown}", failure)

    def _reject(self, slot: int, record: bytes | None, error: RecordError) -> None:
        if record is not None:
            self._unnumbered[slot] += 1
        text = "" if record is None else f" The record: {record[:200].decode(errors='replace').strip()}"
        line = f"slot {slot}: {error.stage}: {error}{text}"
        self._pipes.reject(line, first=line, output=record is None)
