"""Test your own models as the service runs them, with no broker: records in; outputs, state, rejects and restarts out.

    from stream_scorer.testing import Driver

    def test_mean():
        with Driver("mean.py") as driver:
            assert driver.send(1.0, key="a") == []
            driver.restart()
            assert driver.send(3.0, key="a")[0].value == 2.0
            assert driver.state("a") == {"window": [1.0, 3.0]}

It is the service's own loop, restore, sessions and codecs on a log in memory, in the thread of the test.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream_scorer.api.outcome import Key, Output, Rejected, check_values, input_text, key_bytes, rejected
from stream_scorer.api.settings import OF_A_PROCESS, Setting, run_settings
from stream_scorer.codec.evaluations import evaluation_codec
from stream_scorer.errors import EncodeError, StateError
from stream_scorer.model.locate import absolute, locate
from stream_scorer.model.program import read_program
from stream_scorer.records import EVALUATIONS, Outgoing, Record
from stream_scorer.service.in_memory import MemoryService
from stream_scorer.service.memory import ABORT, Fault, MemoryLog

__all__ = ["Driver", "Output", "Rejected"]

OF_A_BROKER = frozenset(
    "bootstrap_servers kafka registry schema_registry framing output_schema_id http create_topics until_end".split()
)


class Driver:
    """A service with one partition in memory. A context manager; not safe for use from several threads.

    Offsets count the records from 0. Outputs and rejects are collected for as long as the driver lives, over restarts.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        settings: of `stream-scorer run`, by its flags with underscores: `session`, `session_ttl`, `batch`,
            `on_bad_record`, `evaluate`, `attachment`, `schema`, ... What concerns brokers and processes is not taken.
            `input_encoding` and `output_encoding` are by default Avro if the slots have schemas, else JSON.
    Raises:
        SettingsError: a setting is unknown, illegal or contradicts another one.
        ModelError: the model cannot be found; or when it is entered: it cannot be loaded or begun.
    """

    def __init__(self, model: str | Path, **settings: Setting) -> None:
        self._model = absolute(str(model))
        annotations = read_program(locate(self._model).module).annotations
        defaults: dict[str, Setting] = {
            "bootstrap_servers": "memory:1",  # of no use here, and no setting may be empty
            "input_topic": "input",
            "output_topic": ",".join(f"{slot}=output-{slot}" for slot in annotations.outputs) or "output",
            "input_encoding": "avro-binary" if 0 in annotations.schemas else "json",
            "output_encoding": "avro-binary" if set(annotations.outputs) <= set(annotations.schemas) else "json",
        }
        self._settings = run_settings(settings, without=OF_A_PROCESS | OF_A_BROKER, defaults=defaults)
        self._log = MemoryLog()
        self._service = MemoryService(self._model, self._settings, self._log)
        self._keys: list[Key] = []
        self._faults: list[Fault] = []
        self._outputs_read = self._rejects_read = 0
        self._entered = False
        self.outputs: list[Output] = []
        """All outputs that a reader of the topics sees, in order. `offset` is that of the input record."""
        self.rejects: list[Rejected] = []
        """All records that could not be scored, in order."""
        self.evaluations: list[dict[str, Any]] = []
        """With `evaluate=True`: forecasts that have met their value, as docs/evaluation.md has them."""

    def __enter__(self) -> Self:
        self._service.__enter__()
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        self._service.__exit__(kind, error, trace)

    def send(self, value: Any, key: Key = None, timestamp: int | None = None) -> list[Output]:
        """Score one record and commit; its outputs.

        Args:
            value: as the schema of slot 0 has it.
            timestamp: of the record, ms since 1970, as `session_ttl` counts it.
        Raises:
            EncodeError: the value does not fit the schema; nothing was sent. `send_bytes` sends what does not fit.
            StreamScorerError: what ends a service, as a reject does with `on_bad_record="fail"`. `restart` goes on.
            StateError: the driver is not entered, or its service has ended.
            TypeError: values, key or timestamp are not of their kind.
        """
        return self.send_all([value], key, timestamp)

    def send_all(self, values: Iterable[Any], key: Key = None, timestamp: int | None = None) -> list[Output]:
        """Score records in as few batches as `batch` allows, and commit; their outputs. As `send`."""
        check_values(values)
        encode = self._running().hosted.codec(0, self._settings.input_encoding).encode
        try:
            encoded: list[bytes | None] = [encode(value) for value in values]
        except EncodeError as error:
            raise EncodeError(input_text(error)) from error
        return self._send(encoded, key, timestamp)

    def send_bytes(self, value: bytes | None, key: Key = None, timestamp: int | None = None) -> list[Output]:
        """As `send`, with the bytes of the record as they are; None is a tombstone."""
        return self._send([value], key, timestamp)

    def abort_next(self) -> None:
        """The next transaction is aborted at its commit, once: its records are scored again, from the state before them."""
        self._faults.append(ABORT)

    def restart(self, model: str | Path | None = None) -> None:
        """End the service, and begin another one with what was committed: state goes through the bytes of a changelog.

        Records that were not committed, because an error had ended the service, are scored again at once.

        Args:
            model: another version of the model from now on. Whether it may use the state is decided as in the service
                (`on_state_mismatch`).
        Raises:
            ModelError: it cannot be loaded or begun, or the state does not fit it. Another `restart` may go on.
            StreamScorerError: what ends a service, as in `send`.
            StateError: the driver is not entered.
        """
        self._check_entered()
        self._service.__exit__(None, None, None)
        self._model = self._model if model is None else absolute(str(model))
        self._service = MemoryService(self._model, self._settings, self._log)
        self._service.__enter__()
        try:
            self._service.resume()
        finally:
            self._read(self._log)

    def state(self, key: Key = None) -> dict[str, Any]:
        """The model's state in the session of a key: its state globals by name, copied.

        A key that has no session has the state that `begin` made. With `session="partition"` all keys have one. After an
        error that has ended the service, it is the state that was committed.
        """
        service = self._begun()
        session = key_bytes(key) if self._settings.session == "key" else None
        state = service.sessions.state_of(service.partition, session)
        return dict(zip(service.hosted.module.state_names, state, strict=True))

    def _check_entered(self) -> None:
        if not self._entered:
            raise StateError("the driver is not entered: use it in the block of `with Driver(...) as driver:`.")

    def _begun(self) -> MemoryService:
        self._check_entered()
        if not self._service.begun:
            raise StateError(f"{self._model} could not begin: restart(MODEL) with a model that can.")
        return self._service

    def _running(self) -> MemoryService:
        service = self._begun()
        if service.ended:
            raise StateError("an error has ended the service, as it ends `stream-scorer run`: go on by restart().")
        return service

    def _send(self, values: list[bytes | None], key: Key, timestamp: int | None) -> list[Output]:
        service, log, first = self._running(), self._log, len(self._log.inputs)
        if timestamp is not None and (isinstance(timestamp, bool) or not isinstance(timestamp, int)):
            raise TypeError(f"timestamp is a whole number of ms since 1970, not {timestamp!r}")
        records = [
            Record(service.partition, first + at, key_bytes(key), value, timestamp, None)
            for at, value in enumerate(values)
        ]
        self._keys += [key] * len(records)
        faults, self._faults = self._faults, []
        before = len(self.outputs)
        try:
            service.feed([*faults, *records])
        finally:
            self._read(log)
        return self.outputs[before:]

    def _read(self, log: MemoryLog) -> None:
        """What was committed since the last call."""
        for out in log.outputs[self._outputs_read :]:
            if out.slot == EVALUATIONS:
                self.evaluations.append(evaluation_codec(self._settings.output_encoding).decode(out.value))
            else:
                self.outputs.append(self._output(out))
        for reject in log.rejects[self._rejects_read :]:
            self.rejects.append(rejected(reject, reject.source.offset, self._keys[reject.source.offset]))
        self._outputs_read, self._rejects_read = len(log.outputs), len(log.rejects)

    def _output(self, out: Outgoing) -> Output:
        codec = self._service.hosted.codec(out.slot, self._settings.output_encoding)
        offset = out.source.offset
        return Output(offset, out.slot, codec.decode(out.value), self._keys[offset])
