"""Requests to a schema registry by Python's own HTTP client: basic authentication, the CAs of the system."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from stream_scorer.codec.registry_answers import (
    MAX_TEXT,
    TIMEOUT_S,
    BadAnswer,
    Definition,
    NoRegistry,
    Reference,
    unread,
    without_credentials,
)

_MAX_ANSWER = 16 << 20  # bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The credentials are for the registry, not for the address of a redirect."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HttpCalls:
    """The `Calls` of a registry.

    Args:
        url: http://[USER:PASSWORD@]HOST:PORT[/PATH]
        user_info: USER:PASSWORD, instead of those in the URL.
    """

    def __init__(self, url: str, user_info: str | None = None) -> None:
        parts = urllib.parse.urlsplit(url)
        self.where = without_credentials(url)
        self._headers = {
            "Content-Type": "application/vnd.schemaregistry.v1+json",
            "Accept": "application/vnd.schemaregistry.v1+json, application/json",
        }
        if user_info is None and parts.username is not None:
            user_info = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        if user_info is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(user_info.encode()).decode()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def by_id(self, number: int) -> Definition:
        return _definition(self._ask("GET", f"/schemas/ids/{number}"))

    def by_version(self, subject: str, version: int) -> Definition:
        # Also deleted versions: other schemas may still refer to them.
        return _definition(self._ask("GET", f"/subjects/{_quoted(subject)}/versions/{version}?deleted=true"))

    def register(self, subject: str, schema: str) -> int:
        answer = self._ask("POST", f"/subjects/{_quoted(subject)}/versions", {"schema": schema})
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise NoRegistry("answered without the id of the schema")
        return int(answer["id"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.where + path, data, self._headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return _json(_whole(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise _bad(error) from error
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _quoted(subject: str) -> str:
    return urllib.parse.quote(subject, safe="")


def _whole(answer: Any) -> bytes:
    """The body of an answer. Raises OSError: it takes too long or is incomplete; NoRegistry: it is too large for a registry."""
    body, deadline = bytearray(), time.monotonic() + TIMEOUT_S
    while part := answer.read1(1 << 16):
        body += part
        if len(body) > _MAX_ANSWER:
            raise NoRegistry(f"answered with more than {_MAX_ANSWER >> 20} MB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"no whole answer in {TIMEOUT_S:.0f} s")
    if answer.length:  # `read1` does not raise an error itself
        raise ConnectionError("the answer was cut off")
    return bytes(body)


def _json(body: bytes) -> Any:
    """The body as JSON. Raises OSError: it is incomplete; NoRegistry: it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unread(body.decode(errors="replace")) from error


def _bad(error: urllib.error.HTTPError) -> BadAnswer:
    try:
        body = error.read(1 << 16)
    except (OSError, http.client.HTTPException):
        body = b""
    code, text = None, _text(body)
    try:
        answer = json.loads(body)
        code, text = answer["error_code"], str(answer["message"])[:MAX_TEXT]
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    if to := error.headers.get("Location"):
        text = f"{text} It points to {to[:MAX_TEXT]}".strip()
    return BadAnswer(error.code, code, text, _after(error.headers.get("Retry-After")))


def _after(value: str | None) -> float | None:
    """Seconds from now of Retry-After, which has seconds or a date; None for another text."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def _text(body: bytes) -> str:
    return " ".join(body[:MAX_TEXT].decode(errors="replace").split())


def _definition(answer: Any) -> Definition:
    try:
        text = answer["schema"]
        references = [
            Reference(str(other["subject"]), int(other["version"])) for other in answer.get("references") or ()
        ]
        kind = str(answer.get("schemaType", "AVRO"))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NoRegistry("answered with JSON that has no schema") from error
    if not isinstance(text, str):
        raise NoRegistry("answered with JSON that has no schema")
    return Definition(text, kind, tuple(references))
