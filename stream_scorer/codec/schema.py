"""A parsed Avro schema, and the functions that check and write values by it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from stream_scorer.codec.fitting import Compiler, Form
from stream_scorer.codec.forms import CheckForm
from stream_scorer.codec.walk import Misfit, Walk
from stream_scorer.errors import SchemaError

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NO_SCHEMA = (
    SchemaParseException, UnknownType, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError
)  # fmt: skip
"""Errors of `make_schema` for JSON that is not a schema."""
MAX_NESTED = 256
"""Objects and arrays within each other in the JSON of a schema. Functions that walk through schemas call themselves."""
_OF_FASTAVRO = frozenset(("__fastavro_parsed", "__named_schemas"))


@dataclass(frozen=True)
class Schema:
    """One schema.

    name: the model's name for it.
    parsed: as fastavro has parsed it.
    canonical: JSON text that refers to no other schema.
    named: its named types, by full name.
    """

    name: str
    parsed: Any
    canonical: str
    named: Mapping[str, Any]

    @property
    def primitive(self) -> str | None:
        """The primitive type that this schema is; None for other schemas and for logical types."""
        logical = isinstance(self.parsed, dict) and "logicalType" in self.parsed
        kind = self.parsed["type"] if isinstance(self.parsed, dict) else self.parsed
        return kind if kind in PRIMITIVES and not logical else None

    def as_file(self) -> str:
        """The text of an .avsc file. A primitive type is written as an object, because every reader accepts that."""
        definition = json.loads(self.canonical)
        return json.dumps({"type": definition} if isinstance(definition, str) else definition) + "\n"

    def writer(self, form: Form) -> Callable[[Any], Any]:
        """Returns a function that takes a value and returns what the form writes for it.

        It raises SchemaError with the place in the value, what was expected and what was found; and any exception of the
        value's own methods.
        """
        fit = Compiler(self.named, form).fit(self.parsed)

        def write(value: Any) -> Any:
            try:
                return fit(value, Walk())
            except Misfit as error:
                raise SchemaError(error.message()) from None
            except RecursionError:
                raise SchemaError(f"nested too deeply for schema {self.name!r} to be checked") from None

        return write

    @functools.cached_property
    def check(self) -> Callable[[Any], Any]:
        """A function that raises as that of `writer` if a value does not fit. Its result means nothing."""
        return self.writer(CheckForm())


def make_schema(name: str, definition: Any) -> Schema:
    """The schema in parsed JSON. Raises one of NO_SCHEMA."""
    named: dict[str, Any] = {}
    return Schema(name, parse_schema(definition, named), json.dumps(definition), named)


def parse_schema(definition: Any, named: dict[str, Any] | None = None) -> Any:
    """Parsed JSON of any origin as fastavro parses it. Adds its named types to `named`. Raises one of NO_SCHEMA."""
    check_nested(definition)
    return fastavro.parse_schema(definition, named)


def check_nested(definition: Any) -> None:
    """Raises ValueError: the JSON is nested too deeply, or has keys that are fastavro's own."""
    level, depth = [definition], 0
    while level := [inner for part in level for inner in _parts(part)]:
        depth += 1
        if depth > MAX_NESTED:
            raise ValueError(f"nested more than {MAX_NESTED} deep")


def _parts(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        if not _OF_FASTAVRO.isdisjoint(part):
            raise ValueError(f"{' and '.join(sorted(_OF_FASTAVRO))} are fastavro's own")
        yield from part.values()
    elif isinstance(part, list):
        yield from part
