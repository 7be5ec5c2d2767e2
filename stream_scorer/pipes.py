"""A model in this process with a stream at each of its slots: files, pipes, or what descriptors say. For `score`."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import operator
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from stream_scorer.codec.schema import load_schema
from stream_scorer.errors import EXIT_DONE, EXIT_NOTHING, RecordError, SettingsError
from stream_scorer.jets.fastscore import importable
from stream_scorer.jets.results import Fed, ModelFailed
from stream_scorer.jets.runner import Runner
from stream_scorer.jets.shared import SharedState
from stream_scorer.jets.slots import Slots, slot_class
from stream_scorer.model.locate import locate
from stream_scorer.model.program import Program, read_program
from stream_scorer.model.sandbox import sandbox
from stream_scorer.ports import Inlet, Outlet, SlotCodec
from stream_scorer.records import Control, Cut
from stream_scorer.streams.descriptor import Stream, parse
from stream_scorer.streams.envelopes import Delimited, DelimitedFramer
from stream_scorer.streams.inlet import StreamInlet
from stream_scorer.streams.opening import open_inlet, open_outlet
from stream_scorer.streams.outlet import StreamOutlet
from stream_scorer.transports.lines import LinesDrain, LinesFeed

log = logging.getLogger(__name__)

WATERMARK = 1000
_ALONE_S, _AMONG_OTHERS_S = 1.0, 0.02


def score_slots(
    model: str,
    attachment: Path | None,
    schema_files: Mapping[str, Path],
    descriptors: Mapping[int, Any],
    stdin: int,
    out: BinaryIO,
    rejects: TextIO,
    batch: int = WATERMARK,
) -> int:
    """Run a model until its inputs end. As in an engine, a model that fails ends the run.

    Args:
        descriptors: ModelOp stream descriptors by slot. The first input without one is read from `stdin`,
            outputs without one are written to `out`: JSON, a record a line.
        rejects: gets a line for each record that does not fit, and the traceback of a model that fails.
        batch: most records of a record set from `stdin`.
    Raises:
        SettingsError, ModelError, TransportError.
    """
    located = locate(model)
    program = read_program(located.module)
    unused = sorted(set(descriptors) - program.annotations.slots_in_use)
    if unused:
        raise SettingsError(
            f"a stream is given for slot {unused[0]}, which {program.path.name} does not use. It uses "
            f"{', '.join(map(str, sorted(program.annotations.slots_in_use)))}; '# fastscore.slot.{unused[0]}: in-use' adds one."
        )

    def find_schema(name: str) -> Any:
        return json.loads(load_schema(name, schema_files, located.schema_dir).canonical)

    named = {
        slot: (name, find_schema(name))
        for slot, name in program.annotations.schemas.items()
        if slot in program.annotations.slots_in_use
    }

    def stream(slot: int) -> Stream:
        raw = descriptors.get(slot) or _lines(batch)
        return parse(raw, slot=slot, name=f"slot {slot}", inherited=named.get(slot), find_schema=find_schema)

    streams = {slot: stream(slot) for slot in sorted(program.annotations.slots_in_use)}
    with contextlib.ExitStack() as stack:
        inlets = _open_inlets(streams, program, descriptors, stdin)
        outlets = _open_outlets(streams, descriptors, out)
        for inlet in inlets.values():
            stack.callback(inlet.close)
        for outlet in outlets.values():
            stack.callback(outlet.close)
        stack.enter_context(sandbox(attachment or located.attachment))
        run = _Run(program, streams, inlets, outlets, rejects)
        run.run()
    if run.came_to_nothing():
        print(f"stream-scorer score: every record was rejected; the first: {run.first_reject}", file=sys.stderr)
        return EXIT_NOTHING
    return EXIT_DONE


class _Run:
    def __init__(
        self,
        program: Program,
        streams: Mapping[int, Stream],
        inlets: dict[int, Inlet],
        outlets: Mapping[int, Outlet],
        rejects: TextIO,
    ) -> None:
        self._program, self._inlets, self._outlets, self._rejects = program, inlets, outlets, rejects
        self._codecs: dict[int, SlotCodec] = {
            slot: stream.spec.make(output=stream.output) for slot, stream in streams.items()
        }
        encodings = {slot: stream.encoding for slot, stream in streams.items()}
        self._runner = Runner(program, self._codecs, encodings, on_reject=self._reject)
        self._inputs = self._written = self._outputs_rejected = 0
        self.first_reject = ""
        self._pigs: list[Control] = []
        self._unnumbered = dict.fromkeys(inlets, 0)  # records that were rejected

    def came_to_nothing(self) -> bool:
        """Whether every input, or every output, was rejected."""
        inputs_gone = self._inputs > 0 and sum(self._unnumbered.values()) == self._inputs
        return not self._written and (inputs_gone or self._outputs_rejected > 0)

    def run(self) -> None:
        slots = Slots(self._runner, self._read, self._take)
        explicit = self._program.annotations.explicit
        with importable(SharedState(), slot_class(slots) if explicit else None):
            if explicit:
                self._take(self._runner.run(slots))
            else:
                self._runner.load()
                self._runner.begin({"name": self._program.name})
                self._feed_all()
                self._take(self._runner.end())
        self._pass_pigs()
        for outlet in self._outlets.values():
            outlet.finish()

    def _feed_all(self) -> None:
        """A cut of each input in turn, until all have ended."""
        while self._inlets:
            for slot in list(self._inlets):
                cut = self._inlets[slot].next(_ALONE_S if len(self._inlets) == 1 else _AMONG_OTHERS_S)
                if cut is None:
                    continue
                self._take(self._runner.feed(self._numbered(cut)))
                self._note_end(cut)
                self._pass_pigs()

    def _read(self, slot: int) -> Cut | None:
        """For an explicit model: what it asks for next says that it has dealt with all before."""
        self._pass_pigs()
        while slot in self._inlets:
            cut = self._inlets[slot].next(_ALONE_S)
            if cut is not None:
                self._note_end(cut)
                return self._numbered(cut)
        return None

    def _numbered(self, cut: Cut) -> Cut:
        self._inputs += len(cut.records)
        return cut._replace(first=cut.first - self._unnumbered[cut.slot])

    def _note_end(self, cut: Cut) -> None:
        if cut.end is not None and cut.end.kind == "end":
            self._inlets.pop(cut.slot).close()
        elif cut.end is not None and cut.end.kind == "pig":
            self._pigs.append(cut.end)

    def _pass_pigs(self) -> None:
        for pig in self._pigs:
            for slot, outlet in self._outlets.items():
                record = self._codecs[slot].write_control(pig)
                if record is not None:
                    outlet.write([record])
        self._pigs.clear()

    def _take(self, fed: Fed) -> None:
        self._write(fed.outputs)
        failure = fed.failure
        if failure is not None:
            shown = "" if failure.input is None else f" The input: {json.dumps(failure.input)[:2000]}"
            self._rejects.write(f"{failure.traceback.rstrip()}\n")
            raise ModelFailed(f"{self._program.path}: {failure.where} failed: {failure.reason}.{shown}", failure)

    def _write(self, outputs: list[tuple[int, bytes]]) -> None:
        # Slots that share a pipe keep the order of their records.
        self._written += len(outputs)
        for slot, run in itertools.groupby(outputs, operator.itemgetter(0)):
            self._outlets[slot].write([record for _, record in run])

    def _reject(self, slot: int, record: bytes | None, error: RecordError) -> None:
        if record is None:
            self._outputs_rejected += 1
        else:
            self._unnumbered[slot] += 1
        text = "" if record is None else f" The record: {record[:200].decode(errors='replace').strip()}"
        line = f"slot {slot}: {error.stage}: {error}{text}"
        self.first_reject = self.first_reject or line
        self._rejects.write(line.encode(errors="backslashreplace").decode() + "\n")


def _open_inlets(
    streams: Mapping[int, Stream], program: Program, descriptors: Mapping[int, Any], stdin: int
) -> dict[int, Inlet]:
    inlets: dict[int, Inlet] = {}
    on_stdin: list[int] = []
    for slot in program.annotations.inputs:
        stream = streams[slot]
        if slot in descriptors:
            inlets[slot] = open_inlet(stream)
        else:
            on_stdin.append(slot)
            inlets[slot] = StreamInlet(stream, lambda: LinesFeed(stdin), lambda: Delimited(b"\n", blank=False))
        inlets[slot].eager = not (program.annotations.explicit or slot in program.annotations.recordsets)
    if len(on_stdin) > 1:
        raise SettingsError(
            f"slots {' and '.join(map(str, on_stdin))} are inputs of {program.path.name}, and only one can be read from "
            f"stdin. Give --input {on_stdin[1]}=FILE, or --stream {on_stdin[1]}=DESCRIPTOR.json."
        )
    return inlets


def _open_outlets(streams: Mapping[int, Stream], descriptors: Mapping[int, Any], out: BinaryIO) -> dict[int, Outlet]:
    return {
        slot: open_outlet(stream)
        if slot in descriptors
        else StreamOutlet(stream, LinesDrain(out), DelimitedFramer(b"\n", None))
        for slot, stream in streams.items()
        if stream.output
    }


def _lines(batch: int) -> dict[str, Any]:
    return file_stream("/dev/stdin") | {"Batching": {"Watermark": batch, "NagleTime": 500}}


def file_stream(path: str) -> dict[str, Any]:
    """The descriptor of a file of JSON lines."""
    return {"Transport": {"Type": "file", "Path": path}, "Envelope": "delimited", "Encoding": "json"}


def descriptor(path: Path) -> Any:
    """Of a file. Raises SettingsError."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--stream {path}: {error}. It must be a stream descriptor, as JSON.") from error
