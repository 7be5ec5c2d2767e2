"""The codec of a ModelOp stream at a slot: encoding, control records, and the schemas of the stream and of the slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream_scorer.codec import codec_for
from stream_scorer.codec.control_records import CONTROL_FORMS
from stream_scorer.codec.plain import reason
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import EncodeError, SchemaError
from stream_scorer.records import Control


class StreamCodec:
    """The `SlotCodec` port.

    Args:
        options: of the encoding, as in the stream's descriptor.
        schema: of the stream. csv and avro-binary need it for the types of values.
        model: schema of the model's slot, if it differs: every record must fit both.
    """

    def __init__(
        self, encoding: str | None, options: Mapping[str, Any], schema: Schema | None, model: Schema | None = None
    ) -> None:
        codec = codec_for(encoding, schema, strict=bool(options.get("Strict")), options=options)
        self._decode, self._encode = codec.decode, codec.encode
        self._check = None if model is None else model.check
        self._form = CONTROL_FORMS.get(encoding)
        if self._check is None:
            # There is nothing to add, so each record is spared a call.
            self.decode, self.encode = codec.decode, codec.encode  # type: ignore[method-assign]

    def control(self, data: bytes) -> Control | None:
        return self._form.read(data) if self._form else None

    def write_control(self, control: Control) -> bytes | None:
        return self._form.write(control) if self._form else None

    def decode(self, data: bytes) -> Any:
        value = self._decode(data)
        if self._check is not None:
            self._check(value)
        return value

    def encode(self, value: Any) -> bytes:
        if self._check is not None:
            try:
                self._check(value)
            except SchemaError as error:
                raise EncodeError(f"output: {error}") from error
            except Exception as error:  # the value is the model's, and its methods may raise anything
                raise EncodeError(f"output: cannot be checked: {reason(error)}") from error
        return self._encode(value)
