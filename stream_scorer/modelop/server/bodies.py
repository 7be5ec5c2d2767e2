"""Bodies of requests and answers in memory: how much there may be of all together, and how slow they may come."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stream_scorer.modelop.server.answers import HttpError

SMALL = 64 << 10
"""Bodies up to this size are not counted: there is at most one for each connection."""
GAP_S = 30.0
"""How long the next bytes of a body may take."""
SLOWEST = 1024
"""Least bytes a second of a body, over all of it but the first GAP_S."""
WAIT_S = 60.0
"""How long a request waits for the bodies of others before it is answered by 503."""
_STEP = 1 << 20
_PIECE = 32 << 10


class Bodies:
    """The bodies of all requests, on one event loop.

    A body whose length is announced waits until there is room for all of it; one that is larger than all the room waits
    until it is alone. So no two of them can wait for each other. Of the bodies without a length one at a time may grow.

    Args:
        largest: most bytes of one body.
        together: most bytes of all.
    """

    def __init__(self, largest: int, together: int) -> None:
        self._largest = largest
        self._together = together
        self.held = 0
        """Bytes of bodies, as announced."""
        self.unsent = 0
        """Bytes of answers on their way to clients."""
        self._freed = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._growing = asyncio.Lock()

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body, and hold room for it during the block. Raises HttpError: 408, 413, 503."""
        announced = _length(request)
        if announced is not None and announced > self._largest:
            raise self._too_large()
        room = _Room(self)
        try:
            if announced is not None and announced > SMALL:
                async with _patience(), self._turn:
                    await room.take(announced)
            yield await self._read(request, room, growing=announced is None)
        finally:
            await room.give_back()

    async def _read(self, request: Request, room: _Room, *, growing: bool) -> bytes:
        loop = asyncio.get_running_loop()
        began = loop.time()
        body = io.BytesIO()  # its value is its buffer: there is no second copy
        try:
            async with asyncio.timeout(GAP_S) as limit:
                async for chunk in request.stream():
                    size = body.tell() + len(chunk)
                    if size > self._largest:
                        raise self._too_large()
                    if growing and size > max(SMALL, room.bytes):
                        limit.reschedule(None)  # it waits for others now, and not for its client
                        await room.grow()
                    body.write(chunk)
                    limit.reschedule(min(loop.time(), began + size / SLOWEST) + GAP_S)
        except TimeoutError as error:
            raise HttpError(
                408, f"the body comes too slowly: {body.tell():,} bytes in {loop.time() - began:.0f} s"
            ) from error
        return body.getvalue()

    def _too_large(self) -> HttpError:
        return HttpError(413, f"the body is larger than {self._largest:,} bytes: see --max-body")

    async def room_for_an_answer(self) -> None:
        """Return once clients have taken most of what was sent to them. Raises HttpError 503."""
        async with _patience(), self._freed:
            await self._freed.wait_for(lambda: self.unsent < self._together)

    def sending(self, answer: Response) -> ASGIApp:
        """Return the answer as an application that sends it in pieces, as fast as the client takes them."""

        async def send_counted(scope: Scope, receive: Receive, send: Send) -> None:
            size = len(answer.body)
            self.unsent += size
            try:
                await in_pieces(answer)(scope, receive, send)
            finally:
                self.unsent -= size
                if size > SMALL:
                    async with self._freed:
                        self._freed.notify_all()

        return send_counted


class _Room:
    """What one request holds of the room."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.bytes = 0
        self._grows = False

    async def take(self, size: int) -> None:
        bodies = self._bodies
        async with bodies._freed:
            await bodies._freed.wait_for(
                lambda: bodies.held == self.bytes or bodies.held + size <= bodies._together  # alone, or it fits
            )
            bodies.held += size
            self.bytes += size

    async def grow(self) -> None:
        """Take one more step of the room; wait while another body grows. Raises HttpError 503."""
        async with _patience():
            if not self._grows:
                await self._bodies._growing.acquire()
                self._grows = True
            await self.take(_STEP)

    async def give_back(self) -> None:
        if self._grows:
            self._bodies._growing.release()
        if self.bytes:
            async with self._bodies._freed:
                self._bodies.held -= self.bytes
                self._bodies._freed.notify_all()


def in_pieces(answer: Response) -> ASGIApp:
    """Return an application that sends the answer as fast as its client takes it: no more than a piece is copied."""

    async def send_pieces(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(answer.body)
        if len(body) <= _PIECE or scope["method"] == "HEAD":
            await answer(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        for at in range(0, len(body), _PIECE):
            piece = body[at : at + _PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": at + _PIECE < len(body)})

    return send_pieces


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAIT_S):
            yield
    except TimeoutError as error:
        raise HttpError(
            503, "the bodies of other requests fill the memory that is set aside for them: try again"
        ) from error


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() else 0 if "transfer-encoding" not in request.headers else None
