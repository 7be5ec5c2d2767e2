"""The SlotCodec of an attached stream: encoding, schemas and control records in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream_scorer.codec.control_records import CONTROL_FORMS
from stream_scorer.codec.plain import plain, reason
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.values import values_for
from stream_scorer.errors import EncodeError, SchemaError
from stream_scorer.records import Control


class StreamCodec:
    """The `SlotCodec` port.

    Args:
        schema: of the stream; it types what the encoding cannot (csv, avro-binary).
        model: the schema of the model's slot, where it is another one: every record must fit both.
        model_first: of an output, so that the error tells of the model's before the stream's.
    """

    def __init__(
        self,
        encoding: str | None,
        options: Mapping[str, Any],
        schema: Schema | None,
        model: Schema | None = None,
        *,
        model_first: bool = False,
    ) -> None:
        self._values = values_for(encoding, options, schema)
        order = (model, schema) if model_first else (schema, model)
        self._checks = [one for one in order if one is not None]
        self._form = CONTROL_FORMS.get(encoding)

    def control(self, data: bytes) -> Control | None:
        return self._form.read(data) if self._form else None

    def write_control(self, control: Control) -> bytes | None:
        return self._form.write(control) if self._form else None

    def decode(self, data: bytes) -> Any:
        value = self._values.load(data)
        for schema in self._checks:
            schema.check(value)
        return value

    def encode(self, value: Any) -> bytes:
        try:
            value = plain(value)
            for schema in self._checks:
                schema.check(value)
            return self._values.dump(value)
        except SchemaError as error:
            raise EncodeError(f"output: {error}") from error
        except Exception as error:  # the value is the model's, and its methods may raise anything
            raise EncodeError(f"output: cannot be written: {reason(error)}") from error
