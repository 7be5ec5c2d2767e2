"""Endpoints as a table: routes and the API document are both made from it."""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stream_scorer.modelop.server.answers import HttpError, failure, one_line, text
from stream_scorer.modelop.server.bodies import Bodies
from stream_scorer.modelop.server.multipart import header_text
from stream_scorer.modelop.server.names import check_name
from stream_scorer.parsing import strict_json

log = logging.getLogger(__name__)

T = TypeVar("T")
_AT_ONCE = 100
"""Threads for each path: requests that wait on one path do not delay those of other paths."""
_ID_DIGITS = 18
_MOST = 1_000_000_000


@dataclass(frozen=True)
class Call:
    """A request with its body. Names of `headers` are in lower case."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """Return a flag of the query. Clients write `True` and `true`."""
        return self.query.get(name, "").lower() in ("true", "yes", "1")

    def number(self, name: str, default: float, *, refuse: int = 400) -> float:
        """Return a number of the query that is not negative. Raises HttpError with status `refuse`."""
        number_text = self.query.get(name, "")
        try:
            value = float(number_text) if number_text else default
        except ValueError:
            value = -1.0
        if not 0 <= value <= _MOST:
            raise HttpError(refuse, f"{name}={number_text[:60]!r} is not a number from 0 to {_MOST:,}")
        return value

    def slot(self, name: str = "slot") -> int:
        """Return the slot in the path. Raises HttpError 400."""
        digits = self.path[name]
        if not digits.isascii() or not digits.isdigit() or len(digits) > 6:
            raise HttpError(400, f"slot {digits!r} is not a number: inputs are 0, 2, 4..., outputs 1, 3, 5...")
        return int(digits)

    def number_in_path(self, name: str = "id") -> int | None:
        """Return an id in the path; None if it is not one that this server gives."""
        digits = self.path[name]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _ID_DIGITS else None

    def json(self, name: str, *, nan: bool = False) -> Any:
        """Return the body, parsed; `name` says what it is. Raises SettingsError: it is not JSON (`strict_json.load`)."""
        return strict_json.load(self.body, name, nan=nan)


Handler = Callable[[Any, Call], Response]
"""Takes the instance and the call. Runs in a thread, and may block. Raises errors that `answers.failure` knows."""


@dataclass(frozen=True)
class Operation:
    """A method of a path. `path` is in the form of both Starlette and OpenAPI.

    answers: meaning of each status. query: meaning of each parameter. body: Content-Types that are taken.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, str]
    handler: Handler
    query: Mapping[str, str] = field(default_factory=dict)
    body: tuple[str, ...] = ()


class Api(Generic[T]):
    """The operations of one kind of instance. Each call of a handler runs in a thread."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.operations: list[Operation] = []
        self._takes: set[str] = set()

    def on(
        self,
        method: str,
        path: str,
        summary: str,
        answers: Mapping[int, str],
        *,
        query: Mapping[str, str] | None = None,
        body: tuple[str, ...] = (),
    ) -> Callable[[Callable[[T, Call], Response]], Callable[[T, Call], Response]]:
        def add(handler: Callable[[T, Call], Response]) -> Callable[[T, Call], Response]:
            self.operations.append(Operation(method, path, summary, answers, handler, query or {}, body))
            return handler

        return add

    def include(self, other: Api[Any]) -> None:
        self.operations += other.operations
        self._takes |= other._takes

    def takes(self, *paths: str) -> None:
        """Refuse HEAD on these paths: their GET takes what it answers with, and HEAD would lose it."""
        self._takes.update(paths)

    def routes(self, instance: T, bodies: Bodies) -> list[Route]:
        """Return one route for each path, with all its methods, so that another method is answered by 405 and not 404."""
        by_path: dict[str, dict[str, Handler]] = {}
        for operation in self.operations:
            by_path.setdefault(operation.path, {})[operation.method] = operation.handler
        for path in self._takes & by_path.keys():
            by_path[path]["HEAD"] = _no_head
        return [
            Route(path, _bound(handlers, instance, bodies), methods=[*handlers]) for path, handlers in by_path.items()
        ]


def _bound(handlers: Mapping[str, Handler], instance: Any, bodies: Bodies) -> Callable[[Request], Any]:
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def handle(request: Request) -> ASGIApp:
        return bodies.sending(await answer_of(request))

    async def answer_of(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" and "HEAD" not in handlers else request.method
        try:
            _check_path(request)
            headers = {name.decode("latin-1"): header_text(value) for name, value in request.headers.raw}
            await bodies.room_for_an_answer()
            async with bodies.body(request) as body:
                call = Call(request.path_params, request.query_params, headers, body)
                return await anyio.to_thread.run_sync(
                    _answer, request, handlers[method], instance, call, limiter=limiter
                )
        except ClientDisconnect:
            return Response(status_code=400)
        except HttpError as error:
            return text(one_line(error), error.status)

    return handle


def _answer(request: Request, handler: Handler, instance: Any, call: Call) -> Response:
    """Return what the handler returns, or the answer that its error stands for.

    No error leaves the thread: it would be held by the future that brings it, and hold the body until the next collection.
    """
    try:
        return handler(instance, call)
    except Exception as error:
        answer = failure(error)
        if answer is None:
            log.exception("%s %s failed", request.method, ascii(request.scope["path"]))
            answer = text(f"{type(error).__name__}: {one_line(error)}; the engine's log has more", 500)
        return answer


def _no_head(_: Any, __: Call) -> Response:
    answer = text("", 405)
    answer.headers["allow"] = "GET"
    return answer


def _check_path(request: Request) -> None:
    """Raises HttpError 400: the path is not UTF-8, which servers do not say, or it has a name that nothing can have."""
    try:
        urllib.parse.unquote_to_bytes(request.scope.get("raw_path") or b"").decode()
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the path is not UTF-8: {error}") from error
    for name, value in request.path_params.items():
        check_name(value, name)
