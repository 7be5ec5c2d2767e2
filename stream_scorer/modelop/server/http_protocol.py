"""HTTP/1.1 as uvicorn and httptools speak it, with limits: neither of them has any on what comes before a body.

The parser gets the bytes of one message at a time. What a client sends behind it waits until the answer is out, in the
socket as far as possible: a read of pipelined requests would make thousands of them at once.
"""

from __future__ import annotations

import asyncio
import functools
import re
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stream_scorer.modelop.server.connections import Connection, Connections, Phase
from stream_scorer.modelop.server.websocket_protocol import WebSocketProtocol

MAX_HEAD = 32 << 10
"""Most bytes of request line and headers together."""
MAX_FIELDS = 100
"""Most headers and trailers of a message."""
MAX_TRAILER = 8 << 10
"""Most bytes of a chunked body that are not data, besides CHUNK_LINE for each chunk."""
CHUNK_LINE = 256
MAX_DROPPED = 32 << 20
"""Most bytes of a body that are taken in although its request was refused."""
MAX_DROPPED_COSTLY = 1 << 20
"""The same of a chunked body, which must be parsed to its end, and behind what was no request."""
MAX_WEBSOCKET_LINE = 8000
"""Most bytes of a line of a request for a WebSocket: websockets reads it once more, and takes 8,192."""
MAX_UNKNOWN = 30
"""Requests on one connection before one of them is let in by the guard. Pipelines of hundreds, on each of 400 connections,
would keep the others waiting for seconds."""
_READ = 64 << 10
_WRITE = 16 << 10
"""Bytes of an answer that wait for their client, beyond what the system takes, before the server makes no more of them."""
_BEHIND_CHUNKS = 4
"""Most requests in one read behind the end of a chunked body: only the parser finds it, and goes on from there."""
_HEAD_END = re.compile(rb"\n\r?\n")


class HttpProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """One connection, until it ends or becomes a WebSocket.

    `scope["connection"]` of its requests is the Connection, for the guard.
    """

    _buffer = bytearray(_READ)  # one for all: what was read is copied before the next read

    def __init__(self, connection: Connection, connections: Connections, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._connection = connection
        self._connections = connections
        self.ws_protocol_class = functools.partial(WebSocketProtocol, connection, connections)  # type: ignore[assignment]
        self._unread, self._at = b"", 0
        self._refused = False
        self._dropped = 0
        self._not_let_in = 0
        self._begin()

    def _begin(self) -> None:
        """Set the counts of a message to those of one that has not begun."""
        self._in_head = True
        self._complete = False
        self._head = self._fields = self._chunks = self._fed = self._data = 0
        self._length: int | None = None

    # From the transport.

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the transport gives it
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(memoryview(self._buffer)[:nbytes]))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(_WRITE)
        self._connection.transport = transport
        self._connection.enter(Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._unread, self._at = b"", 0
        self._connections.remove(self._connection)

    def pause_writing(self) -> None:
        self._connection.blocked(True)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._connection.blocked(False)
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._connection.phase is Phase.LINGER:
            self._dropped += len(data)
            costly = self._refused or self._length is None
            if self._dropped > (MAX_DROPPED_COSTLY if costly else MAX_DROPPED):
                self._connection.drop()
                return
        elif self._connection.phase is Phase.IDLE:
            self._unset_keepalive_if_required()
            self._connection.enter(Phase.HEAD)
        if not self._refused:
            self._unread, self._at = self._unread[self._at :] + data, 0
            self._parse()

    def _parse(self) -> None:
        """Give the parser what has come, up to the end of a message whose answer is not out."""
        while self._at < len(self._unread) and not self._refused and self.parser is not None:
            if self._complete and not self.cycle.response_complete:
                self.flow.pause_reading()
                return
            if self._complete:
                self._begin()
            piece = self._next()
            try:
                self.parser.feed_data(piece)
                self._check()
            except httptools.HttpParserUpgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                if self.cycle is not None:  # another protocol: it is answered as HTTP, and nothing more is read
                    self.cycle.keep_alive = False
            except (httptools.HttpParserError, _RefusedError) as error:
                reason = error.__context__ if isinstance(error.__context__, _RefusedError) else error
                if not isinstance(reason, _RefusedError):
                    reason = _RefusedError(HTTPStatus.BAD_REQUEST, "this is not a request of HTTP/1.1")
                self._refuse(reason.status, str(reason))

    def _next(self) -> bytes:
        """Return and count the next bytes: no more than to the end of a head, or of a body of known length."""
        end = len(self._unread)
        if self._in_head:
            found = _HEAD_END.search(self._unread, self._at)
            end = found.end() if found else end
        elif self._length is not None:
            end = min(end, self._at + self._length - self._data)
        piece, self._at = self._unread[self._at : end], end
        if self._in_head:
            self._head += len(piece)
        else:
            self._fed += len(piece)
        return piece

    def _check(self) -> None:
        """Raises _RefusedError: the message in hand is beyond a limit."""
        if not self._in_head:
            if self._fed - self._data > MAX_TRAILER + CHUNK_LINE * self._chunks:
                raise _RefusedError(
                    HTTPStatus.BAD_REQUEST, "the body has too much that is not data: chunk extensions or trailers"
                )
        elif self._head > MAX_HEAD and (self._fields == 0 or len(self.url) > MAX_HEAD // 2):
            raise _RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, f"the request line is longer than {MAX_HEAD:,} bytes")
        elif self._head > MAX_HEAD:
            raise _RefusedError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers are longer than {MAX_HEAD:,} bytes"
            )

    # From the parser.

    def on_message_begin(self) -> None:
        if self._complete:  # its first bytes came together with the last of the message before
            self._begin()
            if len(self.pipeline) >= _BEHIND_CHUNKS:
                raise _RefusedError(
                    HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting for the answer to another"
                )
        super().on_message_begin()
        self.scope["connection"] = self._connection  # type: ignore[typeddict-unknown-key]

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"there are more than {MAX_FIELDS} headers")
        if self._in_head:  # a trailer is no header: nobody has checked it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._check()
        self._in_head = False
        headers = dict(self.headers)
        self._length = int(headers[b"content-length"]) if b"content-length" in headers else None
        if not self.url.isascii():
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the request line is not ASCII: escape it, as %C3%A9")
        if self.parser.should_upgrade() and self._should_upgrade():
            if self._length or b"transfer-encoding" in headers:
                raise _RefusedError(HTTPStatus.BAD_REQUEST, "a request for a WebSocket has no body")
            if max(len(self.url), *(len(name) + len(value) for name, value in self.headers)) > MAX_WEBSOCKET_LINE:
                raise _RefusedError(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a line is longer than {MAX_WEBSOCKET_LINE:,} bytes"
                )
        self._connection.enter(Phase.BUSY)
        super().on_headers_complete()
        self._not_let_in += not self._connection.known
        if self._not_let_in >= MAX_UNKNOWN and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        self._data += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = True
        super().on_message_complete()
        if self._connection.phase is Phase.LINGER:
            self._connection.enter(Phase.IDLE)

    # From the answer.

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._dropped = 0
        self._connection.enter(Phase.IDLE if self._complete else Phase.LINGER)
        if self._complete and self._at < len(self._unread):
            self._unset_keepalive_if_required()
            self._connection.enter(Phase.HEAD)
            self._parse()

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer, and take no more requests from this connection. What still comes is dropped."""
        self._refused = True
        self._unread, self._at = b"", 0
        self._connections.malformed += 1
        if self.cycle is not None and not self.cycle.response_complete:
            self._connection.drop()  # an answer is being made, so this one has no place
            return
        body = reason.encode()
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n".encode(),
            *(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers),
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode(),
        ]
        self._unset_keepalive_if_required()
        self._connection.enter(Phase.LINGER)
        self.transport.write(b"".join(head) + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS
            self.transport.close()


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
