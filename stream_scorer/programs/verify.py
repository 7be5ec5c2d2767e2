"""The composition root of `stream-scorer verify`: loads a model, and scores the same inputs in all ways of the service."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model.locate import locate
from stream_scorer.model.manifest import is_bundle
from stream_scorer.model.trust import CHECKED, Trust
from stream_scorer.ports import Codec
from stream_scorer.records import Outgoing, Partition, Record, Reject
from stream_scorer.scoring.hosting import HostedModel, host_model

SERIES = 4
LENGTH = 150
ROUNDS = 12
_NUMBERS = ("double", "float", "int", "long")
Scores = dict[int, list[Any]]


def verify(
    model: str, attachment: Path | None, schemas: dict[str, Path], inputs: Path | None, trust: Trust = CHECKED
) -> Iterator[str]:
    """Run the checks in turn, and yield a line of text for each that holds. Raises ModelError at the first that fails.

    Each step blocks while the model scores. The model is closed when the iterator ends or is closed. The model's code is
    executed, but for the checks of the manifest and the signature, which come first.

    Args:
        model, attachment, trust: as in `locate`.
        schemas: absolute paths of Avro schemas by name.
        inputs: file of JSON, a value per line; None: inputs are made up from the schema, if that is possible.
    """
    located = locate(model, attachment, trust)
    if located.contents is not None:
        yield "manifest: every file is there and has its sha256"
    elif is_bundle(Path(model)):
        yield "manifest: NOT checked, as --unverified says"
    if trust.signers is not None:
        yield f"signature: by a key in {trust.signers}"
    samples = _read(inputs) if inputs else None
    with host_model(located, schemas) as hosted:
        module = hosted.module
        yield f"contract: {module.name} loads and begins, sha256 {module.sha256}"
        names = [
            f"slot {slot}: {schema.name if schema else 'untyped'}" for slot, schema in sorted(hosted.schemas.items())
        ]
        yield f"schemas: {', '.join(names)}"
        hosted.wire_json()
        yield f"state: {', '.join(module.state_names) or 'none'}, can be kept exactly"
        given = samples or _generate(hosted)
        if given is None:
            yield "scores: NOT compared, as inputs of this schema cannot be made up. Give some by --inputs FILE.jsonl"
            return
        yield from _compare(hosted, given, made_up=not samples)


def _compare(hosted: HostedModel, samples: Sequence[Any], *, made_up: bool) -> Iterator[str]:
    module = hosted.module
    keys = [b"%d" % number for number in range(SERIES)]
    records = [
        Record(Partition("verify", 0), offset, keys[offset % SERIES], json.dumps(value).encode(), None, None)
        for offset, value in enumerate(samples)
    ]
    scored = _score(hosted, records, [1] * len(records), one_by_one=True)
    rejects = [outcome for outcome in scored if isinstance(outcome, Reject)]
    if records and len(rejects) == len(records):
        first = f"the first: {rejects[0].reason.rstrip('.')}."
        if not made_up or hosted.schemas.get(0) is not None:
            raise ModelError(f"{module.path}: every one of {len(records)} inputs is rejected; {first}")
        yield f"scores: NOT compared, as every number made up is rejected; {first} Give inputs by --inputs FILE.jsonl"
        return
    one_by_one = _by_offset(scored)
    rejected = f", {len(rejects)} are rejected, the first: {rejects[0].reason}" if rejects else ""
    yield f"action: {len(records)} inputs one by one give {len(scored) - len(rejects)} outputs{rejected}"
    alone: Scores = {}
    for key in keys:
        alone |= _by_offset(_score(hosted, [record for record in records if record.key == key], [], one_by_one=True))
    _same(one_by_one, alone, "series that alternate and the same series alone", module.path)
    yield f"sessions: {SERIES} series that alternate give what each gives alone"
    if not module.batched:
        return
    rng = random.Random(2017)
    for _ in range(ROUNDS):
        sizes = [rng.choice((1, 2, 7, 31, 64, 65, 130, 300)) for _ in range(len(records))]
        batches = _by_offset(_score(hosted, records, sizes))
        _same(one_by_one, batches, f"action one by one and push/predict in batches of {sizes[:6]}...", module.path)
    yield f"batch: {ROUNDS} ways to cut the input into batches give the same bits as action one by one"


def _score(
    hosted: HostedModel, records: Sequence[Record], sizes: Sequence[int], *, one_by_one: bool = False
) -> list[Outgoing | Reject]:
    """Score with new sessions, in batches of these sizes. Returns outputs and rejects."""
    encoders: dict[int, Codec] = {
        slot: _Bits(hosted.codec(slot, "avro-binary" if schema else "json"))
        for slot, schema in hosted.schemas.items()
        if slot % 2
    }
    wired = hosted.wire(hosted.codec(0, "json"), encoders, one_by_one=one_by_one)
    scored = wired.score(records, sizes)
    wired.sessions.reset()
    return scored


class _Bits:
    """Encodes a score as its bits, so that bits are compared, not text. Raises as `codec` if that cannot encode it."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def decode(self, data: bytes | None) -> Any:
        raise NotImplementedError

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        raise NotImplementedError

    def encode(self, value: Any) -> bytes:
        self._codec.encode(value)
        return struct.pack("<d", value) if isinstance(value, float) else repr(value).encode()

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        return [self.encode(value) for value in values]


def _by_offset(scored: Sequence[Outgoing | Reject]) -> Scores:
    scores: Scores = {}
    for outcome in scored:
        result = (outcome.slot, outcome.value) if isinstance(outcome, Outgoing) else (outcome.stage, outcome.error)
        scores.setdefault(outcome.source.offset, []).append(result)
    return scores


def _same(expected: Scores, actual: Scores, ways: str, path: Path) -> None:
    for offset in sorted(expected.keys() | actual.keys()):
        if expected.get(offset) != actual.get(offset):
            raise ModelError(
                f"{path}: input {offset}: {ways} differ: {expected.get(offset)} and {actual.get(offset)}. The scores of "
                "this model depend on more than its inputs in order; it must not promise '# stream-scorer.batch', "
                "or keeps state that '# stream-scorer.state' does not name."
            )


def _generate(hosted: HostedModel) -> list[Any] | None:
    """Random walks, if the schema is a number or there is none; else None."""
    schema = hosted.schemas.get(0)
    kind = schema.primitive if schema else "double"
    if kind not in _NUMBERS:
        return None
    rng = random.Random(2017)
    level = [rng.gauss(0, 1) for _ in range(SERIES)]
    values: list[Any] = []
    for number in range(SERIES * LENGTH):
        level[number % SERIES] += rng.gauss(0, 0.1)
        values.append(level[number % SERIES])
    convert: Callable[[float], Any] = round if kind in ("int", "long") else float
    return [convert(value) for value in values]


def _read(path: Path) -> list[Any]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ModelError(f"--inputs {path}: {error}. It must hold one JSON value a line.") from error
