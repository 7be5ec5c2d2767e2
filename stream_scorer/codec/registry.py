"""The three calls to a schema registry that scoring needs, over its REST API."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import Any

from stream_scorer.codec.schema import NO_SCHEMA, parse_schema
from stream_scorer.errors import BrokerError, Unavailable

TIMEOUT_S = 10.0
_MOST_ANSWER = 16 << 20  # bytes


class UnknownSchema(LookupError):
    """The registry has no Avro schema of this id."""


class Registry:
    """Client of one registry. Schemas never change under an id, so each is asked for once.

    Args:
        url: http://[USER:PASSWORD@]HOST:PORT[/PATH]
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self._url = urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        if parts.username is not None:
            user = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        self._schemas: dict[int, Any] = {}

    def schema(self, number: int) -> Any:
        """The parsed schema of an id. Raises UnknownSchema, Unavailable or BrokerError."""
        if number not in self._schemas:
            answer = self._ask("GET", f"/schemas/ids/{number}")
            self._schemas[number] = _parse(answer)
        return self._schemas[number]

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema (JSON text) under a subject; registered if it is new there."""
        subject = urllib.parse.quote(subject, safe="")
        return int(self._ask("POST", f"/subjects/{subject}/versions", {"schema": schema})["id"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        # 12 ms to import, which `score` and all who use no registry need not wait for.
        import urllib.error
        import urllib.request

        request = urllib.request.Request(
            self._url + path, None if body is None else json.dumps(body).encode(), self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.loads(_whole(answer))
        except urllib.error.HTTPError as error:
            text = error.read(500).decode(errors="replace")
            if error.code == 404 and method == "GET":
                raise UnknownSchema(text) from error
            raise BrokerError(
                f"schema registry {self._url}: {method} {path} answered {error.code}: {text}. "
                "409 means an incompatible schema under that subject, 401 and 403 want other credentials in the URL."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise Unavailable(f"schema registry {self._url}: no answer ({error}). Check --schema-registry.") from error


def _whole(answer: Any) -> bytes:
    """The body of an answer. Raises ValueError on one too long to be of a registry."""
    body: bytes = answer.read(_MOST_ANSWER + 1)
    if len(body) > _MOST_ANSWER:
        raise ValueError(f"an answer of more than {_MOST_ANSWER >> 20} MB")
    return body


def _parse(answer: Any) -> Any:
    """Registries hold JSON Schema and Protobuf too, and Avro that refers to other schemas."""
    try:
        return parse_schema(json.loads(answer["schema"]))
    except NO_SCHEMA as error:
        kind = answer.get("schemaType", "AVRO") if isinstance(answer, dict) else "?"
        raise UnknownSchema(
            f"it is no Avro schema on its own ({kind}; {type(error).__name__}: {str(error)[:300]})"
        ) from error
