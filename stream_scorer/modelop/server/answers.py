"""What handlers answer with, and what they may raise: an error is one line of plain text."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from stream_scorer.errors import (
    EndOfInput,
    ModelError,
    NoSuchStream,
    RecordError,
    SettingsError,
    StreamScorerError,
    TransportError,
)


class HttpError(StreamScorerError):
    """Raised by a handler: this status, this text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def empty(status: int = 204) -> Response:
    return Response(status_code=status)


def json_answer(value: Any, status: int = 200) -> Response:
    return exact(json.dumps(value).encode(), "application/json", status)


def text(value: str, status: int = 200) -> Response:
    return exact(value.encode(), "text/plain; charset=utf-8", status)


def exact(body: bytes, content_type: str, status: int = 200) -> Response:
    """`content_type` as it is: frameworks like to add a charset, and clients compare."""
    return Response(body, status, headers={"content-type": content_type})


def failure(error: BaseException) -> Response | None:
    """The answer that an error stands for; None for one that nobody raised on purpose.

    Statuses are those of the norm [h]: 400 a reason, 403 no REST stream there, 204 the end of a stream.
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
    return " ".join(str(error).split())
