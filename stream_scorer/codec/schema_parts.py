"""Parts of schemas that fastavro has parsed: types, names, and which part of a writer's schema a reader's part is read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMED = ("record", "error", "enum", "fixed")
NUMBERS = ("int", "long", "float", "double")
"""In this order: each type of number may be read as any later one."""


def widens(written: str, read: str) -> bool:
    """Whether both are types of numbers, and numbers of the type `written` may be read as the type `read`."""
    return written in NUMBERS and read in NUMBERS and NUMBERS.index(written) <= NUMBERS.index(read)


def kind_of(schema: Any) -> str:
    """The name of a type, whether the schema gives it as text or as an object."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    return kind if isinstance(kind, str) else kind_of(kind)


def type_of(schema: Any, named: Mapping[str, Any]) -> Any:
    """The definition of a type: a name is looked up in `named`, a primitive type becomes an object."""
    while not isinstance(schema, list):
        kind = schema if isinstance(schema, str) else schema["type"]
        if isinstance(kind, dict | list):
            schema = kind
        elif kind in named and not (isinstance(schema, dict) and "name" in schema and kind in NAMED):
            schema = named[kind]
        else:
            return schema if isinstance(schema, dict) else {"type": schema}
    return schema


def branch_name(branch: Any) -> str:
    """What a tag calls a branch of a union."""
    if isinstance(branch, dict):
        return str(branch.get("name", branch["type"]) if branch["type"] in NAMED else branch["type"])
    return str(branch)


def matched_fields(writer: Any, reader: Any) -> dict[str, Any]:
    """The fields of record `reader` that are read from record `writer`, by the name that they have in `writer`.

    A field is read from the field of the same name, else from one of its aliases. No field of the writer is read twice: a
    field of the same name comes before an alias, an earlier field of the reader before a later one.
    """
    written = {field["name"] for field in writer["fields"]}
    matched = {field["name"]: field for field in reader["fields"] if field["name"] in written}
    for field in reader["fields"]:
        alias = next((name for name in field.get("aliases", ()) if name in written and name not in matched), None)
        if field["name"] not in matched and alias is not None:
            matched[alias] = field
    return matched


def named_in(parsed: Any) -> dict[str, Any]:
    """The named types of a schema that fastavro parsed, by full name."""
    named: dict[str, Any] = {}
    todo = [parsed]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict) and part.get("name") not in named:
            if part["type"] in NAMED:
                named[part["name"]] = part
            todo += [part[key] for key in ("items", "values", "type") if isinstance(part.get(key), dict | list | str)]
            todo += [field["type"] for field in part.get("fields", ())]
    return named
