"""HTTP streams: an input reads the body of a GET, an output writes the body of a POST."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import urllib.parse
from collections.abc import Sequence

from stream_scorer.errors import TransportError, Unavailable
from stream_scorer.modelop.endpoints.base import Feed
from stream_scorer.modelop.endpoints.pump import Pieces, PumpFeed

TIMEOUT_S = 30.0
_CHUNK = 1 << 16
_MAX_CHUNK = 64 << 20
_MAX_REDIRECTS = 5
_FAULTS = (OSError, http.client.HTTPException, ValueError)


def _connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection, not open yet, and the target to request."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    return connection, urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))


def _unreachable(url: str, error: Exception) -> TransportError:
    hint = " This machine does not trust its certificate." if isinstance(error, ssl.SSLError) else ""
    return Unavailable(f"{url}: {str(error) or type(error).__name__}.{hint}")


def http_feed(url: str, *, chunked: bool, skip_to: int) -> Feed:
    """Request a URL and return the feed of the response. Blocks until the response begins.

    Args:
        chunked: each chunk of the response is one record.
        skip_to: offset to begin at, in bytes.

    Raises:
        TransportError: no response, or a status other than 200 and 206.
    """
    for _ in range(_MAX_REDIRECTS):
        connection, connected, answer = _request(url, skip_to)
        target = answer.headers["Location"]
        if answer.status not in (301, 302, 303, 307, 308) or not target:
            break
        connection.close()
        url = urllib.parse.urljoin(url, target)
    if answer.status not in (200, 206):
        connection.close()
        raise TransportError(f"{url}: answered {answer.status} {answer.reason}")
    if chunked and not answer.chunked:
        connection.close()
        raise TransportError(f"{url}: the answer is not in chunks, and the descriptor says Chunked")
    left_to_skip = skip_to if answer.status == 200 else 0
    pieces = _chunks(url, answer) if chunked else _body(url, answer, left_to_skip)

    def cancel() -> None:
        # `shutdown` unblocks the thread that reads; `close` alone would leave it there.
        with contextlib.suppress(OSError, AttributeError):
            connected.shutdown(socket.SHUT_RDWR)
        connection.close()

    connected.settimeout(None)
    return PumpFeed(pieces, cancel)


def _request(url: str, skip_to: int) -> tuple[http.client.HTTPConnection, socket.socket, http.client.HTTPResponse]:
    connection, path = _connect(url)
    try:
        connection.request("GET", path, headers={"Range": f"bytes={skip_to}-"} if skip_to else {})
        connected = connection.sock  # the connection drops it if the server closes after this response
        return connection, connected, connection.getresponse()
    except _FAULTS as error:
        connection.close()
        raise _unreachable(url, error) from error


def _body(url: str, answer: http.client.HTTPResponse, skip: int) -> Pieces:
    try:
        while data := answer.read1(_CHUNK):
            kept, skip = data[skip:], max(skip - len(data), 0)
            if kept:
                yield kept
        if answer.length:
            raise TransportError(f"{url}: the answer broke off, {answer.length} bytes before its end")
    except _FAULTS as error:
        raise _unreachable(url, error) from error
    finally:
        answer.close()


def _chunks(url: str, answer: http.client.HTTPResponse) -> Pieces:
    """Read the chunks below http.client, which would join them."""
    lines = answer.fp
    try:
        while size := int(lines.readline(1000).split(b";")[0].strip(), 16):
            if size > _MAX_CHUNK:
                raise TransportError(f"{url}: a chunk of {size} bytes; the most is {_MAX_CHUNK >> 20} MB")
            data = lines.read(size)
            if len(data) < size:
                raise TransportError(f"{url}: the answer broke off within a chunk")
            yield data
            lines.readline(1000)
    except _FAULTS as error:
        raise _unreachable(url, error) from error
    finally:
        answer.close()


class HttpDrain:
    """One POST that begins with the first write; each piece is a chunk of its body."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection, self._path = _connect(url)
        self._begun = self._closed = False

    def write(self, pieces: Sequence[bytes]) -> None:
        try:
            self._begin()
            for piece in filter(None, pieces):
                self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        except _FAULTS as error:
            raise _unreachable(self._url, error) from error

    def _begin(self) -> None:
        if self._closed:
            raise TransportError(f"{self._url}: the stream is closed")
        if not self._begun:
            self._connection.putrequest("POST", self._path)
            self._connection.putheader("Content-Type", "application/octet-stream")
            self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()
            self._begun = True

    def finish(self, linger_s: float) -> None:
        try:
            self._begin()
            self._connection.send(b"0\r\n\r\n")
            if linger_s:
                self._connection.sock.settimeout(linger_s)
                status = self._connection.getresponse().status
                if status >= 300:
                    raise TransportError(f"{self._url}: the server answered {status} to what was written")
        except _FAULTS as error:
            raise _unreachable(self._url, error) from error
        finally:
            self._connection.close()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()
