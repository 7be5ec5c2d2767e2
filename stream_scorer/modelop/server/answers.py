"""Responses of the REST API, and the responses that errors stand for: one line of plain text."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from stream_scorer import safe_text
from stream_scorer.errors import (
    EndOfInput,
    ModelError,
    NoSuchStream,
    RecordError,
    SettingsError,
    StreamScorerError,
    TransportError,
    text_of,
)


class HttpError(StreamScorerError):
    """Raised by a handler to answer with a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def empty(status: int = 204) -> Response:
    return Response(status_code=status)


def json_answer(value: Any, status: int = 200) -> Response:
    return exact(json.dumps(value).encode(), "application/json", status)


def text(value: str, status: int = 200) -> Response:
    return exact(value.encode(errors="backslashreplace"), "text/plain; charset=utf-8", status)


def exact(body: bytes, content_type: str, status: int = 200) -> Response:
    """Return a response with exactly this Content-Type: frameworks add a charset, and the vendor's clients compare."""
    return Response(body, status, headers={"content-type": content_type})


def failure(error: BaseException) -> Response | None:
    """Return the response that an error stands for; None for an error that is not raised on purpose.

    The statuses are those of the vendor's engine (rule `h.output`): 400 for a reason, 403 if there is no REST stream, 204
    at the end of a stream.
    """
    if isinstance(error, HttpError):
        return text(one_line(error), error.status)
    if isinstance(error, EndOfInput):
        return empty(204)
    if isinstance(error, NoSuchStream):
        return text(one_line(error), 403)
    if isinstance(error, RecursionError):
        return text("the body is nested too deeply", 400)
    if isinstance(error, TimeoutError):
        return text(one_line(error) or "nothing came in time", 408)
    if isinstance(error, SettingsError | ModelError | RecordError | TransportError):
        return text(one_line(error), 400)
    return None


def one_line(error: BaseException | str) -> str:
    """Return a text without line breaks and of limited size. What a terminal or UTF-8 would stumble over is escaped."""
    return safe_text.one_line(" ".join((text_of(error) if isinstance(error, BaseException) else error).split()))
