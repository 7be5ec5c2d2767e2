"""Scores one batch of records: its outputs and rejects, in input order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

from stream_scorer.errors import (
    MAX_TEXT,
    ActionError,
    DecodeError,
    EncodeError,
    RecordError,
    SchemaError,
    StreamScorerError,
    is_for_the_host,
    no_output_text,
    text_of,
    traceback_of,
)
from stream_scorer.ports import Codec, Judge, Model
from stream_scorer.records import Outgoing, Place, Record, Reject
from stream_scorer.scoring.judging import Judging
from stream_scorer.state.sessions import Sessions

Scored = Outgoing | Reject
NONE: Mapping[Place, RecordError] = {}


class Scorer:
    """Decodes, enters the session, calls the model, encodes.

    A record that cannot be scored becomes a Reject and leaves its session as it was. Scores do not depend on how records
    are divided into batches.

    Args:
        judge: if given, each forecast is joined with the value that comes next; `sessions` must keep forecasts then.
        inside: makes a context for the scoring of a batch: that of the model's working directory.
    """

    def __init__(
        self,
        model: Model,
        sessions: Sessions,
        decoder: Codec,
        encoders: Mapping[int, Codec],
        judge: Judge | None = None,
        inside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._model = model
        self._inside = inside
        self._sessions = sessions
        self._judging = None if judge is None else Judging(sessions, judge)
        self._steps: Sessions | Judging = self._judging or sessions
        self._decoder = decoder
        self._encoders = encoders
        self._encode_by = {slot: encoder.encode for slot, encoder in encoders.items()}
        # The record in hand, its outputs so far, and the first error in one of them.
        self._record: Record
        self._made: list[Scored] = []
        self._fault: BaseException | None = None

    def score(self, records: Sequence[Record], refused: Mapping[Place, RecordError] = NONE) -> list[Scored]:
        """Outputs and rejects of one batch. The sessions have moved on: settle, carry or roll them back afterwards.

        Raises ModelError, TransportError: nothing is wrong with any record.

        Args:
            refused: records whose outputs were refused: they are rejected, as if they could not be decoded.
        """
        return self._move(records, refused, published=True)

    def evaluations(self) -> list[Outgoing]:
        """The evaluations of forecasts whose value came in the last batch, to be sent with its outputs."""
        return [] if self._judging is None else self._judging.outgoing()

    def settle(self) -> None:
        """The last batch is committed."""
        if self._judging is not None:
            self._judging.settle()

    def _move(
        self, records: Sequence[Record], refused: Mapping[Place, RecordError], *, published: bool
    ) -> list[Scored]:
        with self._inside():
            scored = self._score_and_join(records, refused, published=published)
            if not self._sessions.end_batch():
                # The state is not flat after all: score once more, with copies. Happens at most once for a model.
                scored = self._score_and_join(records, refused, published=published)
                self._sessions.end_batch()
            return scored

    def _score_and_join(
        self, records: Sequence[Record], refused: Mapping[Place, RecordError], *, published: bool
    ) -> list[Scored]:
        judging = self._judging
        if judging is None:
            return self._score(records, refused)
        judging.begin()
        scored = self._score(records, refused)
        judging.join(records, self._values(records, refused), published=published)
        return scored

    def _score(self, records: Sequence[Record], refused: Mapping[Place, RecordError]) -> list[Scored]:
        values = self._values(records, refused)
        if not self._model.batched:
            return [
                scored
                for record, value in zip(records, values, strict=True)
                for scored in self._score_one(record, value)
            ]
        try:
            return self._together(records, values)
        except (ActionError, EncodeError):
            # One window made predict fail. Scored one by one, it costs one record, and its session stays as it was.
            self._sessions.roll_back()
            if self._judging is not None:
                self._judging.begin()
            return [
                scored
                for record, value in zip(records, self._values(records, refused), strict=True)
                for scored in self._together([record], [value], alone=True)
            ]

    def _values(self, records: Sequence[Record], refused: Mapping[Place, RecordError]) -> list[Any]:
        """Decodes at each call: a model may change the values that it gets."""
        values = self._decode(records)
        if refused:
            values = [refused.get(record.place, value) for record, value in zip(records, values, strict=True)]
        return values

    def feed(self, records: Sequence[Record], *, published: bool = True) -> None:
        """As `score`, with outputs dropped: only the sessions move on.

        Outputs are encoded all the same: a record that was rejected when it was scored must leave no trace here either.

        Args:
            published: whether the outputs were published once, so that forecasts among them wait for their value.
        """
        self._move(records, NONE, published=published)

    def _decode(self, records: Sequence[Record]) -> list[Any]:
        """A value per record, or the error in its place."""
        try:
            return self._decoder.decode_many([record.value for record in records])
        except Exception as error:
            if isinstance(error, StreamScorerError) and not isinstance(error, RecordError):
                raise
            return [self._decode_one(record) for record in records]

    def _decode_one(self, record: Record) -> Any:
        try:
            return self._decoder.decode(record.value)
        except (DecodeError, SchemaError) as error:
            return error
        except StreamScorerError:
            raise
        except Exception as error:  # noqa: BLE001 - of a library, or MemoryError: it costs this record only
            fault = DecodeError(f"cannot be decoded: {type(error).__name__}: {text_of(error)}")
            fault.__cause__ = error
            return fault

    def _score_one(self, record: Record, value: Any) -> list[Scored]:
        """`action` for one record."""
        if isinstance(value, RecordError):
            return [_reject(record, value)]
        self._steps.enter(record)
        self._record, self._made, self._fault = record, [], None
        try:
            self._model.score(value, self._add_output)
            if self._fault is not None:
                raise self._fault
        except (ActionError, EncodeError) as error:
            self._steps.undo(record)
            return [_reject(record, error)]
        self._steps.keep(record)
        return self._made

    def _add_output(self, slot: int, datum: Any) -> None:
        """Encodes one output at once, as the model may change it afterwards.

        After an error further outputs are ignored, but the model's call goes on to its end: otherwise a generator could go
        on (in `finally`) after the session was restored.
        """
        if self._fault is not None:
            return
        try:
            encode = self._encode_by.get(slot) or self._encoder(slot).encode
            self._made.append(Outgoing(slot, self._record, encode(datum)))
        except StreamScorerError as error:
            self._fault = error
        except BaseException as error:  # noqa: BLE001 - the datum may be of the model's class, whose methods run here
            self._fault = _not_encoded(error)
        else:
            if self._judging is not None:
                self._judging.made_one_by_one(self._record, slot, datum)

    def _together(self, records: Sequence[Record], values: Sequence[Any], *, alone: bool = False) -> list[Scored]:
        """`push` for every record in order, then one `predict` for all full windows."""
        enter, push, keep = self._steps.enter, self._model.push, self._steps.keep
        windows: list[bytes] = []
        full: list[Record] = []
        rejected: list[tuple[int, Reject]] = []  # the first of each pair: how many outputs come before it
        for record, value in zip(records, values, strict=True):
            if isinstance(value, RecordError):
                rejected.append((len(full), _reject(record, value)))
                continue
            enter(record)
            try:
                window = push(value)
            except ActionError as error:
                self._steps.undo(record)
                rejected.append((len(full), _reject(record, error)))
                continue
            if alone and window is not None:
                return [self._predict_alone(record, window)]
            keep(record)
            if window is not None:
                windows.append(window)
                full.append(record)
        scored: list[Scored] = []
        if windows:
            slot = self._model.default
            predicted = self._model.predict(windows)
            try:
                datums = self._encoder(slot).encode_many(predicted)
            except StreamScorerError:
                raise
            except BaseException as error:
                raise _not_encoded(error) from error
            scored += map(Outgoing, repeat(slot), full, datums)
            if self._judging is not None:
                self._judging.made(full, predicted)
        for at, reject in reversed(rejected):
            scored.insert(at, reject)
        return scored

    def _predict_alone(self, record: Record, window: Any) -> Scored:
        try:
            predicted = self._model.predict([window])[0]
            slot = self._model.default
            scored = Outgoing(slot, record, self.encode(slot, predicted))
        except (ActionError, EncodeError) as error:
            self._steps.undo(record)
            return _reject(record, error)
        self._steps.keep(record)
        if self._judging is not None:
            self._judging.made([record], [predicted])
        return scored

    def encode(self, slot: int, datum: Any) -> bytes:
        """One output. Raises EncodeError."""
        try:
            return self._encoder(slot).encode(datum)
        except StreamScorerError:
            raise
        except BaseException as error:
            raise _not_encoded(error) from error

    def _encoder(self, slot: int) -> Codec:
        encoder = self._encoders.get(slot)
        if encoder is None:
            raise EncodeError(no_output_text(slot, self._encoders))
        return encoder


def _not_encoded(error: BaseException) -> EncodeError:
    if is_for_the_host(error):
        raise error
    fault = EncodeError(f"the output cannot be encoded: {type(error).__name__}: {text_of(error)}")
    fault.__cause__ = error
    return fault


def _reject(record: Record, error: RecordError) -> Reject:
    cause = error.__cause__ or error
    return Reject(record, error.stage, type(cause).__name__, str(error)[:MAX_TEXT], traceback_of(cause))
