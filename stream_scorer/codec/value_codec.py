"""The base of all codecs: checks each value by the schema, if there is one, and turns failures into our errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_scorer.codec.fitting import Form
from stream_scorer.codec.plain import plain, reason
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import DecodeError, EncodeError, SchemaError


class ValueCodec:
    """The `Codec` port. A subclass for each encoding defines `load` and `dump`.

    Args:
        schema: of the values; None: values are not checked.
        form: makes what `dump` writes of a value, by the schema.
    """

    encoding = ""
    """Name of the encoding in error texts."""

    def __init__(self, schema: Schema | None, form: Form) -> None:
        self._check = None if schema is None else schema.check
        self._shape = plain if schema is None else schema.writer(form)

    def load(self, data: bytes) -> Any:
        """The value of the bytes, not yet checked. Raises DecodeError."""
        raise NotImplementedError

    def dump(self, value: Any) -> bytes:
        """The bytes of what the form has made. Raises ValueError or TypeError: the encoding cannot write it."""
        raise NotImplementedError

    def decode(self, data: bytes | None) -> Any:
        if data is None:
            raise null_value()
        value = self.load(data)
        if self._check is not None:
            self._check(value)
        return value

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        try:
            return self.dump(self._shape(value))
        except SchemaError as error:
            raise EncodeError(f"output: {error}") from error
        except Exception as error:  # the value is the model's, and its methods may raise anything
            raise EncodeError(f"output: cannot be written as {self.encoding}: {reason(error)}") from error

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        return [self.encode(value) for value in values]


def null_value() -> DecodeError:
    """The error for a record without a value."""
    return DecodeError(
        "the value is null (a tombstone). There is nothing to score; is the input topic a compacted one?"
    )
