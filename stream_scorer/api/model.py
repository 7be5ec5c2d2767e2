"""Models in the caller's process: values in, outputs out, state by key."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, overload

from stream_scorer.api.outcome import (
    Key,
    KeyOf,
    Output,
    Rejected,
    check_on_reject,
    check_values,
    input_text,
    key_bytes,
    key_of,
    rejected,
)
from stream_scorer.errors import EncodeError, RecordError, SchemaError, StateError
from stream_scorer.model.locate import locate
from stream_scorer.model.trust import Trust
from stream_scorer.ports import Codec
from stream_scorer.records import Partition, Place, Record, Reject
from stream_scorer.scoring.hosting import HostedModel, absolute_paths, host_model_apart, in_a_model
from stream_scorer.scoring.scorer import Scored

_VALUES = Partition("values", 0)


class Model:
    """An open model, made by `open_model`. Its state is kept by key for as long as it is open, in memory only.

    Values pass through the codecs of the service, so that the model gets what it would get from a topic: Avro where the
    slot has a schema, JSON where it has none. Models of one process, in whichever threads, work one after another.
    """

    def __init__(self, hosted: HostedModel) -> None:
        self._hosted = hosted
        self._codecs = {slot: _codec(hosted, slot) for slot in hosted.schemas}
        outputs = {slot: codec for slot, codec in self._codecs.items() if slot % 2}
        self._sessions, self._scorer = hosted.wire(self._codecs[0], outputs)
        self._seen = 0
        self._closed = False

    @property
    def name(self) -> str:
        """Of the module file, without its suffix."""
        return self._hosted.module.name

    @property
    def sha256(self) -> str:
        """Of the bytes of the module file, in hex."""
        return self._hosted.module.sha256

    @property
    def inputs(self) -> dict[int, Any]:
        """By input slot its Avro schema, as JSON is read; None where the slot has none."""
        return self._schemas(0)

    @property
    def outputs(self) -> dict[int, Any]:
        """By output slot its Avro schema, as JSON is read; None where the slot has none."""
        return self._schemas(1)

    @overload
    def score(
        self, values: Iterable[Any], key: KeyOf = None, *, on_reject: Literal["raise"] = "raise"
    ) -> list[Output]: ...
    @overload
    def score(
        self, values: Iterable[Any], key: KeyOf = None, *, on_reject: Literal["return"]
    ) -> list[Output | Rejected]: ...
    @overload
    def score(
        self, values: Iterable[Any], key: KeyOf = None, *, on_reject: Literal["raise", "return"]
    ) -> list[Output] | list[Output | Rejected]: ...
    def score(
        self, values: Iterable[Any], key: KeyOf = None, *, on_reject: Literal["raise", "return"] = "raise"
    ) -> list[Any]:
        """Score values in order; their outputs, in the order of the values. Blocks while the model works.

        Args:
            values: as the schema of slot 0 has them: numbers, texts, dicts for records.
            key: whose session the values belong to; or a function that tells the key of each value.
            on_reject: what becomes of a value that cannot be scored. "raise": the call raises, and nothing of it has
                happened: all sessions are as before. "return": a Rejected stands in its place, the other values count.
        Raises:
            RecordError: DecodeError, SchemaError, ActionError or EncodeError, by what failed; with "raise" only.
            ModelError: a state global holds what cannot be kept exactly.
            StateError: the model is closed.
            TypeError, ValueError: values, key or on_reject are not of their kind.
        """
        check_on_reject(on_reject)
        check_values(values)
        first = self._seen  # what makes the values may score with this model, too
        keys, records, misfits = self._records(values, key, first)
        with self._inside():
            try:
                scored = self._scorer.score(records, misfits)
                results = self._results(scored, keys, first)
                if on_reject == "raise":
                    _raise_first(results)
            except BaseException:
                self._sessions.roll_back()
                raise
            self._sessions.settle()
            self._seen += len(records)
        return results

    def state(self, key: Key = None) -> dict[str, Any]:
        """The model's state in the session of a key: its state globals by name, copied.

        A key that was not seen yet has the state that `begin` made; a model without state globals has {}.
        """
        with in_a_model:  # not within a batch of another thread
            state = self._sessions.state_of(_VALUES, key_bytes(key))
        return dict(zip(self._hosted.module.state_names, state, strict=True))

    def end(self) -> list[Output]:
        """Call the model's `end`; its outputs, which only `stream-scorer score` and an engine write. At most once.

        Without this call `end` is called when the model is closed, and its outputs are dropped. Raises ModelError;
        EncodeError: an output does not fit its slot; StateError: the model is closed.
        """
        outputs: list[Output] = []
        misfits: list[EncodeError] = []

        def emit(slot: int, datum: Any) -> None:
            try:
                outputs.append(Output(-1, slot, self._codecs[slot].decode(self._scorer.encode(slot, datum))))
            except EncodeError as error:
                misfits.append(error)

        with self._inside():
            self._hosted.module.end(emit)
        if misfits:
            raise EncodeError(f"{self._hosted.module.path.name}: end(): {misfits[0]}") from misfits[0]
        return outputs

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        with in_a_model:  # or another thread could close it at this point
            if self._closed:
                raise StateError(f"model {self.name} is closed: use it within the `with` block of its open_model.")
            with self._hosted.inside():
                yield

    def _schemas(self, kind: int) -> dict[int, Any]:
        schemas = self._hosted.schemas
        return {
            slot: None if schema is None else json.loads(schema.canonical)
            for slot, schema in schemas.items()
            if slot % 2 == kind
        }

    def _records(
        self, values: Iterable[Any], key: KeyOf, first: int
    ) -> tuple[list[Key], list[Record], dict[Place, RecordError]]:
        """The key of each value, the values as records of a topic, and the errors of those that do not fit the schema."""
        keys: list[Key] = []
        records: list[Record] = []
        misfits: dict[Place, RecordError] = {}
        encode = self._codecs[0].encode
        for offset, value in enumerate(values, first):
            keys.append(key_of(key, value))
            data = None
            try:
                data = encode(value)
            except EncodeError as error:
                misfits[_VALUES, offset] = _misfit(error)
            records.append(Record(_VALUES, offset, key_bytes(keys[-1]), data, None, None))
        return keys, records, misfits

    def _results(self, scored: list[Scored], keys: list[Key], first: int) -> list[Output | Rejected]:
        results: list[Output | Rejected] = []
        for outcome in scored:
            offset = outcome.source.offset - first
            if isinstance(outcome, Reject):
                results.append(rejected(outcome, offset, keys[offset]))
            else:
                results.append(
                    Output(offset, outcome.slot, self._codecs[outcome.slot].decode(outcome.value), keys[offset])
                )
        return results


@contextlib.contextmanager
def open_model(
    model: str | Path,
    attachment: str | Path | None = None,
    schemas: Mapping[str, str | Path] | None = None,
    *,
    unverified: bool = False,
    require_signature: str | Path | None = None,
) -> Iterator[Model]:
    """Load a model and call its `begin`; a context manager that gives a Model. Its `end` is called after the block.

    Blocks while the model loads and begins: seconds, with TensorFlow. The process goes into a working directory of the
    model's own, where its attachment is unpacked, for each call into it, and comes back: other threads must not depend
    on the working directory meanwhile. What the model prints, it prints.

    Args:
        model: path of a module file or of a bundle, or the name of a shipped model ("sp500_forecast").
        attachment: archive of the model's files; None: attachment.tar.gz beside the module, if it is there.
        schemas: files of Avro schemas by the names that the model uses; None: NAME.avsc beside the module.
        unverified: use a bundle although its files are not what its manifest.json says.
        require_signature: file of Ed25519 public keys in PEM: use only a bundle that one of them has signed. Attachment and
            schemas are then those of the bundle.
    Raises:
        SettingsError: what is asked of the bundle contradicts itself, or the keys cannot be read.
        ModelError: it cannot be found, loaded or begun, its state cannot be kept, or it needs an engine.
    """
    with in_a_model:  # relative paths lead from the process's own directory
        archive, files = absolute_files(attachment, schemas)
        trust = Trust(unverified, Path(require_signature) if require_signature is not None else None)
        trust.check_files([archive, *files.values()])
        located = locate(str(model), archive, trust)
    with host_model_apart(located, files, endless=False) as hosted:
        opened = Model(hosted)
        try:
            yield opened
        finally:
            opened._closed = True


def absolute_files(
    attachment: str | Path | None, schemas: Mapping[str, str | Path] | None
) -> tuple[Path | None, dict[str, Path]]:
    """Return the absolute paths of an attachment and of files of schemas by name."""
    archive = Path(attachment).resolve() if attachment is not None else None
    return archive, absolute_paths({name: str(path) for name, path in (schemas or {}).items()})


def _codec(hosted: HostedModel, slot: int) -> Codec:
    return hosted.codec(slot, "json" if hosted.schemas[slot] is None else "avro-binary", strict=False)


def _raise_first(results: list[Output | Rejected]) -> None:
    for result in results:
        if isinstance(result, Rejected):
            raise result.exception()


def _misfit(error: EncodeError) -> SchemaError:
    """An input that does not fit is rejected by the schema, as it would be on its way in from a topic."""
    cause = error.__cause__
    return cause if isinstance(cause, SchemaError) else SchemaError(input_text(error))
