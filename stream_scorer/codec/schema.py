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
"""What `make_schema` raises on JSON that is no schema."""
MAX_NESTED = 256
"""Objects and arrays within each other in the JSON of a schema: what walks through schemas calls itself for each."""
_OF_FASTAVRO = frozenset(("__fastavro_parsed", "__named_schemas"))


@dataclass(frozen=True)
class Schema:
    """One schema.

    name: as the model says it.
    parsed: as fastavro parsed it.
    canonical: as JSON text that needs no other schema.
    named: the named types in it, by full name.
    """

    name: str
    parsed: Any
    canonical: str
    named: Mapping[str, Any]

    @property
    def primitive(self) -> str | None:
        """The primitive type this schema is, if it is one."""
        logical = isinstance(self.parsed, dict) and "logicalType" in self.parsed
        kind = self.parsed["type"] if isinstance(self.parsed, dict) else self.parsed
        return kind if kind in PRIMITIVES and not logical else None

    def as_file(self) -> str:
        """The text of an .avsc file; a primitive is written as an object, which all readers take."""
        definition = json.loads(self.canonical)
        return json.dumps({"type": definition} if isinstance(definition, str) else definition) + "\n"

    def writer(self, form: Form) -> Callable[[Any], Any]:
        """A function that takes a value and returns what the form writes for it.

        It raises SchemaError with the place in the value, what was expected and what was found; and whatever methods of
        the value raise.
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
        """A function that raises as `writer`'s does if a value does not fit. Its result means nothing."""
        return self.writer(CheckForm())


def make_schema(name: str, definition: Any) -> Schema:
    """Of parsed JSON. Raises one of NO_SCHEMA."""
    named: dict[str, Any] = {}
    return Schema(name, parse_schema(definition, named), json.dumps(definition), named)


def parse_schema(definition: Any, named: dict[str, Any] | None = None) -> Any:
    """As fastavro takes it, of parsed JSON from anywhere; fills `named`. Raises one of NO_SCHEMA."""
    check_nested(definition)
    return fastavro.parse_schema(definition, named)


def check_nested(definition: Any) -> None:
    """Raises ValueError on JSON that no walk through it should meet."""
    level, depth = [definition], 0
    while level := [one for part in level for one in _parts(part)]:
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
