"""Opens the streams of a model for `score`: stdin and stdout, files, or ModelOp streams by descriptors."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import SettingsError
from stream_scorer.model.locate import Located
from stream_scorer.model.program import Program
from stream_scorer.modelop.endpoints.file_descriptors import LinesDrain, LinesFeed
from stream_scorer.modelop.streams.descriptor import parse
from stream_scorer.modelop.streams.envelopes import Delimited, DelimitedFramer
from stream_scorer.modelop.streams.inlet import StreamInlet
from stream_scorer.modelop.streams.opening import open_inlet, open_outlet
from stream_scorer.modelop.streams.outlet import StreamOutlet
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.ports import Inlet, Outlet, SlotCodec
from stream_scorer.records import Batch, Control
from stream_scorer.safe_text import INDENT, lines, one_line
from stream_scorer.scoring.progress_lines import all_rejected_text

_ALONE_S, _AMONG_OTHERS_S = 1.0, 0.02
Outputs = Iterable[tuple[int, bytes]]


class Pipes:
    """The open streams of a model, and counts of the records read, written and rejected.

    Call it from one thread, and `stop` from any. It does not close the streams at the end. Reading and writing raise
    TransportError.
    """

    def __init__(
        self, streams: Mapping[int, Stream], inlets: dict[int, Inlet], outlets: Mapping[int, Outlet], rejects: TextIO
    ) -> None:
        self._inlets, self._outlets, self._rejects = inlets, outlets, rejects
        self.codecs: dict[int, SlotCodec] = {slot: stream.spec.make() for slot, stream in streams.items()}
        self._pigs: list[Control] = []
        self._stopped = False
        self._written = self._records = self._rejected = self._outputs_rejected = 0
        self._first_reject = ""
        for slot, inlet in inlets.items():
            inlet.on_reject = functools.partial(self._too_long, slot)

    def stop(self) -> None:
        """End reading: `batches` and `read` return after the wait under way, at most a second."""
        self._stopped = True

    def batches(self) -> Iterator[Batch]:
        """Iterate over batches, one of each input in turn, until all inputs have ended. Blocks while there is none.

        The request for the next batch means that the outputs of the last one were written.
        """
        while self._inlets and not self._stopped:
            for slot in list(self._inlets):
                batch = self._next(slot, _ALONE_S if len(self._inlets) == 1 else _AMONG_OTHERS_S)
                if batch is not None:
                    yield batch
                    self.pass_pigs()

    def read(self, slot: int) -> Batch | None:
        """Return the next batch of one input; None at its end or after `stop`. Blocks while there is none."""
        self.pass_pigs()
        while slot in self._inlets and not self._stopped:
            if (batch := self._next(slot, _ALONE_S)) is not None:
                return batch
        return None

    def _next(self, slot: int, timeout_s: float) -> Batch | None:
        batch = self._inlets[slot].next(timeout_s)
        if batch is not None and batch.closed_by == "end":
            self._inlets.pop(slot).close()
        elif batch is not None and batch.control is not None and batch.closed_by == "pig":
            self._pigs.append(batch.control)
        return batch

    def pass_pigs(self) -> None:
        """Write the pigs that were read to all outputs whose encoding has control records."""
        for pig in self._pigs:
            for slot, outlet in self._outlets.items():
                record = self.codecs[slot].write_control(pig)
                if record is not None:
                    outlet.write([record])
        self._pigs.clear()

    def write(self, outputs: Outputs, records: int = 0) -> None:
        """Write encoded outputs, as (slot, record), and count the input records that they were made from."""
        self._records += records
        # Slots that share a pipe keep the order of their records.
        for slot, run in itertools.groupby(outputs, operator.itemgetter(0)):
            data = [record for _, record in run]
            self._written += len(data)
            self._outlets[slot].write(data)
        self._rejects.flush()

    def reject(self, line: str, *, first: str, output: bool) -> None:
        """Count a rejected input record (or output) and write a line for it.

        Args:
            line: for the rejects.
            first: for the final text, if all are rejected and this is the first.
        """
        self._outputs_rejected += output
        self._rejected += not output
        self._first_reject = self._first_reject or first
        self.tell(one_line(line))

    def _too_long(self, slot: int, record: bytes, why: str) -> None:
        """Reject a record that exceeds the limit; `record` is its beginning."""
        self._records += 1
        line = f"slot {slot}: decode: {why} The record: {record[:200].decode(errors='replace').strip()}"
        self.reject(line, first=line, output=False)

    def tell(self, text: str) -> None:
        """Write a line, or the lines of a traceback, to the rejects."""
        self._rejects.write(lines(text, INDENT) + "\n")

    def finish(self) -> None:
        """Finish all outputs. Blocks until they are written."""
        self.pass_pigs()
        for outlet in self._outlets.values():
            outlet.finish()

    def came_to_nothing(self) -> str | None:
        """Return a text if every input or every output was rejected, else None."""
        if self._written or not (self._outputs_rejected or 0 < self._records == self._rejected):
            return None
        if 0 < self._records == self._rejected:
            return all_rejected_text("records", self._records, self._first_reject)
        return all_rejected_text("outputs", self._outputs_rejected, self._first_reject)


def streams_of(
    program: Program, descriptors: Mapping[int, Any], located: Located, schema_files: Mapping[str, Path], batch: int
) -> dict[int, Stream]:
    """Return the stream of each slot in use; a slot without descriptor gets JSON lines, at most `batch` in a batch.

    Raises SettingsError: a slot is not in use, or a schema cannot be found. Raises DescriptorError.
    """
    in_use = program.annotations.slots_in_use
    if unused := sorted(set(descriptors) - in_use):
        raise SettingsError(
            f"a stream is given for slot {unused[0]}, which {program.path.name} does not use. It uses "
            f"{', '.join(map(str, sorted(in_use)))}; '# fastscore.slot.{unused[0]}: in-use' adds one."
        )

    def find_schema(name: str) -> Any:
        return json.loads(load_schema(name, schema_files, located.schema_dir, located.contents).canonical)

    def stream(slot: int) -> Stream:
        raw = descriptors.get(slot) or _lines(batch)
        name = program.annotations.schemas.get(slot)
        inherited = None if name is None else (name, find_schema(name))
        return parse(raw, slot=slot, name=f"slot {slot}", inherited=inherited, find_schema=find_schema)

    return {slot: stream(slot) for slot in sorted(in_use)}


def open_inlets(
    streams: Mapping[int, Stream], program: Program, descriptors: Mapping[int, Any], stdin: int, *, blank: bool
) -> dict[int, Inlet]:
    """Open the input streams, by slot; the input without descriptor reads from the file descriptor `stdin`.

    `blank`: blank lines are records too, so that lines can be counted. Raises TransportError, and SettingsError: two inputs
    have no descriptor.
    """
    inlets: dict[int, Inlet] = {}
    on_stdin: list[int] = []
    for slot in program.annotations.inputs:
        stream = streams[slot]
        if slot in descriptors:
            inlets[slot] = open_inlet(stream)
        else:
            on_stdin.append(slot)
            inlets[slot] = StreamInlet(stream, lambda: LinesFeed(stdin), lambda: Delimited(b"\n", blank=blank))
        inlets[slot].eager = not (program.annotations.explicit or slot in program.annotations.recordsets)
    if len(on_stdin) > 1:
        raise SettingsError(
            f"slots {' and '.join(map(str, on_stdin))} are inputs of {program.path.name}, and only one can be read from "
            f"stdin. Give --input {on_stdin[1]}=FILE, or --stream {on_stdin[1]}=DESCRIPTOR.json."
        )
    return inlets


def open_outlets(streams: Mapping[int, Stream], descriptors: Mapping[int, Any], out: BinaryIO) -> dict[int, Outlet]:
    """Open the output streams, by slot; outputs without descriptor are written to `out`. Raises TransportError."""
    return {
        slot: open_outlet(stream)
        if slot in descriptors
        else StreamOutlet(stream, LinesDrain(out), DelimitedFramer(b"\n"))
        for slot, stream in streams.items()
        if stream.output
    }


def _lines(batch: int) -> dict[str, Any]:
    return file_stream("/dev/stdin") | {"Batching": {"Watermark": batch, "NagleTime": 500}}


def file_stream(path: str) -> dict[str, Any]:
    """Return the descriptor of a file of JSON lines."""
    return {"Transport": {"Type": "file", "Path": path}, "Envelope": "delimited", "Encoding": "json"}


def descriptor(path: Path) -> Any:
    """Read the stream descriptor in a file. Raises SettingsError."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--stream {path}: expected a stream descriptor as JSON ({error}).") from error
