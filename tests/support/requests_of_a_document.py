"""Requests made from an OpenAPI document: one for each parameter, header and field of a body, with what nobody expects there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

PLACE = "@@PLACE@@"
IN_BODY = (
    "1e400", "-1e400", "1e308", "5e-324", "9" * 400, "-" + "9" * 400, "9" * 5000, "9223372036854775808", "-1", "0", "1.5",
    "NaN", "-Infinity", "null", "true", "[]", "{}", '""', '"\\ud800"', '"\\u0000"', '"\\u001b[31m"', '"' + "x" * 300 + '"',
    '"' + "9" * 5000 + '"', '"1e400G"', '"../../x"', '"\u00b2"', '{"\\udc00": 1}', '{"$ref": "m"}', "[" * 500 + "]" * 500,
    '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"',
)  # fmt: skip
"""Texts of JSON, or of what is nearly JSON."""
IN_PATH = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "%0d%0a",
    "%1b[31m",
    "x" * 300,
    "9" * 5000,
    "%C2%B2",
    "..",
    "-1",
    "%20",
    "1e9",
    "%F0%9F%98%80",
)
IN_QUERY = (
    *IN_PATH,
    "1e400",
    "-1e400",
    "nan",
    "9" * 400,
    "true",
    "",
    "0001-01-01T00:00:00%2B14:00--",
    "--9999-12-31T23:59:59-14:00",
)
IN_HEADER = (
    b"",
    b"\xff",
    b"\xed\xa0\x80",
    b'x; name="\x00"',
    b'x; name="\x1b[31m"',
    b'x; name="' + b"x" * 300 + b'"',
    b'x; name="',
    b";" * 3000,
)


class Request(NamedTuple):
    """operation: "METHOD path" of the document. path: percent-encoded."""

    operation: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str | bytes]
    body: bytes


def hostile(document: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[Request]:
    """Yield the requests. `known`: good values of parameters in paths, by their names."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _of(document, path, method.upper(), operation, known)


def _of(
    document: Mapping[str, Any], path: str, method: str, operation: Any, known: Mapping[str, str]
) -> Iterator[Request]:
    name = f"{method} {path}"
    contents = operation.get("requestBody", {}).get("content", {})
    for kind, content in contents.items() or [("", {})]:
        headers: dict[str, str | bytes] = {"content-type": kind} if kind else {}
        schema = content.get("schema")
        bodies = list(_variants(document, schema)) if schema else []
        body = json.dumps(bodies[0]).encode() if bodies else b""
        good = {key: known.get(key, "0") for key in re.findall(r"{(\w+)}", path)}
        for parameter in operation.get("parameters", []):
            key = parameter["name"]
            if parameter["in"] == "path":
                for value in IN_PATH:
                    yield Request(name, method, path.format(**good | {key: value}), "", headers, body)
            elif parameter["in"] == "query":
                for value in IN_QUERY:
                    yield Request(name, method, path.format(**good), f"{key}={value}", headers, body)
        for header in {"content-type", "content-disposition", "accept", "host"}:
            for value in IN_HEADER:
                yield Request(name, method, path.format(**good), "", headers | {header: value}, body)
        for text in _spoiled(bodies):
            yield Request(name, method, path.format(**good), "", headers, text)
        for text in (*IN_BODY, "", "\0", "- - -", "a: &a [*a]", "a: 2020-99-99"):
            yield Request(name, method, path.format(**good), "", headers, text.encode())


def _spoiled(bodies: list[Any]) -> Iterator[bytes]:
    """Each place of each body with each of IN_BODY, once for the same place beside the same fields."""
    seen = set()
    for body in bodies:
        for place, spoiled in _places(body):
            if (key := (place, json.dumps(_shape(body)))) not in seen:
                seen.add(key)
                text = json.dumps(spoiled)
                yield from (text.replace(f'"{PLACE}"', value).encode() for value in IN_BODY)


def _shape(body: Any) -> Any:
    """What distinguishes the kinds of a descriptor."""
    transport = body.get("Transport") if isinstance(body, dict) else None
    return transport.get("Type") if isinstance(transport, dict) else None


def _places(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each part of a value, with the whole value that has PLACE there."""
    yield path, PLACE
    if isinstance(value, dict):
        for key, part in value.items():
            for below, spoiled in _places(part, f"{path}.{key}"):
                yield below, value | {key: spoiled}
    elif isinstance(value, list):
        for index, part in enumerate(value):
            for below, spoiled in _places(part, f"{path}[{index}]"):
                yield below, [*value[:index], spoiled, *value[index + 1 :]]


def _variants(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield values that fit a schema, so that each alternative and each field occurs. Fullest first."""
    if "$ref" in schema:
        yield from _variants(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        yield from sorted(
            (value for each in schema["anyOf"] for value in _variants(document, each)),
            key=lambda value: len(json.dumps(value)),
            reverse=True,
        )
    elif "properties" in schema:
        fields = {key: list(_variants(document, part)) for key, part in schema["properties"].items()}
        first = {key: values[0] for key, values in fields.items()}
        yield first
        for key, values in fields.items():
            yield from (first | {key: value} for value in values[1:])
    elif "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from schema["enum"]
    else:
        kinds = schema.get("type", "string")
        yield {
            "object": {}, "array": [], "integer": max(schema.get("minimum", 1), 1), "number": schema.get("minimum", 1),
            "boolean": False, "string": "m", "null": None,
        }[kinds if isinstance(kinds, str) else kinds[0]]  # fmt: skip
