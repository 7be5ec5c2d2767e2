"""What comes of a value that was given to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from stream_scorer.errors import ActionError, DecodeError, EncodeError, PublishError, RecordError, SchemaError
from stream_scorer.records import Reject

Key = str | bytes | None
"""Whose session a value belongs to. A text stands for its UTF-8 bytes; None is a session of its own."""
KeyOf = Key | Callable[[Any], Key]
"""One key for all values, or a function that tells the key of a value."""
_OF_STAGE: dict[str, type[RecordError]] = {
    error.stage: error for error in (DecodeError, SchemaError, ActionError, EncodeError, PublishError)
}


class Output(NamedTuple):
    """One output of a model.

    offset: of the value that it was made of, counted from 0 in each call; -1 for outputs of the model's `end`.
    slot: output slot of the model, an odd number.
    value: as the slot's schema has it; without a schema, what is left of it after JSON.
    key: of the value, as it was given.
    """

    offset: int
    slot: int
    value: Any
    key: Key = None


class Rejected(NamedTuple):
    """A value that could not be scored. The session of its key is as it was before the value.

    offset, key: as in `Output`.
    stage: "decode", "schema", "action", "encode" or "publish": what failed, as a dead letter names it.
    error: name of the exception's class. message: where, what was found, and what to change.
    stacktrace: of the exception, with the line of the model.
    """

    offset: int
    key: Key
    stage: str
    error: str
    message: str
    stacktrace: str

    def exception(self) -> RecordError:
        """What `score` raises for it: the RecordError of the stage, with the stacktrace as a note."""
        key = "" if self.key is None else f" (key {self.key!r})"
        error = _OF_STAGE.get(self.stage, RecordError)(f"value {self.offset}{key}: {self.message}")
        error.add_note(self.stacktrace)
        return error


def rejected(reject: Reject, offset: int, key: Key) -> Rejected:
    return Rejected(offset, key, reject.stage, reject.error, reject.message, reject.stacktrace)


def check_on_reject(on_reject: str) -> None:
    """Raises ValueError: a misspelled "raise" must not let rejects pass."""
    if on_reject not in ("raise", "return"):
        raise ValueError(f"on_reject is 'raise' or 'return', not {on_reject!r}")


def check_values(values: object) -> None:
    """Raises TypeError: it is one value, or a DataFrame, whose items would be scored."""
    if isinstance(values, str | bytes | bytearray | Mapping):
        raise TypeError(f"values are a list or another iterable, not one {type(values).__name__}: give [value]")
    if hasattr(values, "columns"):
        raise TypeError(f"values are no {type(values).__name__}: score its rows by score_table")


def input_text(error: EncodeError) -> str:
    """The text of an error of a codec for a value that is given to a model: the codec speaks of what a model writes."""
    return (
        str(error).removeprefix("output: ").replace("or yield numbers and texts instead", "or give numbers and texts")
    )


def key_bytes(key: Key) -> bytes | None:
    """As a record of a topic has it. Raises TypeError."""
    if key is None or isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode()
    raise TypeError(f"a key is a text, bytes or None, not {type(key).__name__}: {key!r}")


def key_of(key: KeyOf, value: Any) -> Key:
    return key(value) if callable(key) else key
