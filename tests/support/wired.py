"""The parts of `stream-scorer run` on the transport in memory: model, sessions, scorer, codecs, loop."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stream_scorer.codec.schema_files import load_schema
from stream_scorer.model.program import read_program
from stream_scorer.modelop.process.runner import Runner
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.ports import SlotCodec
from stream_scorer.records import Batch, Partition, Record
from stream_scorer.scoring.hosting import absolute_paths
from stream_scorer.service.in_memory import MemoryService
from stream_scorer.service.memory import ABORT, Fault, MemoryLog
from stream_scorer.service.settings import RunSettings

PLACE = Partition("in", 0)
Value = bytes | None
Keyed = tuple[bytes | None, Value]


def settings(
    input_encoding: str = "json", output_encoding: str = "json", outputs: Iterable[int] = (1,), **more: object
) -> RunSettings:
    given: dict[str, Any] = {
        "bootstrap_servers": "none:1",
        "input_topic": PLACE.topic,
        "output_topic": ",".join(f"{slot}=out-{slot}" for slot in outputs) or "out",
        "input_encoding": input_encoding,
        "output_encoding": output_encoding,
    }
    return RunSettings(**{**given, **more})


def run(
    model: Path,
    chosen: RunSettings,
    values: Sequence[Value | Keyed],
    *,
    aborts: Iterable[int] = (),
    restarts: Iterable[int] = (),
    batch: int = 1000,
    log: MemoryLog | None = None,
) -> MemoryLog:
    """What a read-committed consumer sees. Raises StreamScorerError.

    Args:
        values: of the input topic, or (key, value).
        aborts: indexes of values; the transaction of the values before each is aborted.
        restarts: indexes of values; before each the service ends, and another starts from what the broker has kept.
        log: gets all that is written, also where an error ends the service.
    """
    log = MemoryLog() if log is None else log
    keyed = [value if isinstance(value, tuple) else (None, value) for value in values]
    records = [Record(PLACE, offset, key, value, 1000 + offset, None) for offset, (key, value) in enumerate(keyed)]
    chosen = dataclasses.replace(chosen, batch=batch)
    for part in _parts(records, set(aborts), sorted({*restarts, len(records)})):
        with MemoryService(str(model), chosen, log) as service:
            service.feed(part)
    return log


def _parts(records: Sequence[Record], aborts: set[int], restarts: Sequence[int]) -> Iterator[list[Record | Fault]]:
    first = 0
    for end in restarts:
        part: list[Record | Fault] = []
        for record in records[first:end]:
            part.append(record)
            if record.offset + 1 in aborts:
                part.append(ABORT)
        yield part
        first = end


def in_jet(
    model: Path, encoding: str, schemas: Mapping[str, str], records: Sequence[bytes], output: str | None = None
) -> tuple[list[tuple[int, bytes]], bool]:
    """The outputs of a jet in this process for records of slot 0 and for their end; and whether the model failed."""
    program = read_program(model)
    annotations = program.annotations
    codecs: dict[int, SlotCodec] = {}
    for slot in annotations.slots_in_use:
        name = annotations.schemas.get(slot)
        schema = (
            None if name is None else json.loads(load_schema(name, absolute_paths(schemas), model.parent).canonical)
        )
        way = output or encoding if slot % 2 else encoding
        codecs[slot] = CodecSpec(way, schema_name=name, schema=schema).make()
    runner = Runner(program, codecs, dict.fromkeys(codecs, encoding))
    runner.load()
    runner.begin({"name": program.name, "type": "python3", "attachments": []})
    result = runner.feed(Batch(0, 1, list(records), None))
    if result.failure is not None:
        return result.outputs, True
    last = runner.end()
    return [*result.outputs, *last.outputs], last.failure is not None
