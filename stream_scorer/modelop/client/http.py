"""HTTP requests to one server, over one connection that stays open."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError, Unavailable
from stream_scorer.parsing.addresses import is_url

TIMEOUT_S = 60.0


class Refused(SettingsError):
    """The server has answered with a status that is not success; the text is that of the server."""

    exit_code = 1

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """An answer. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body, parsed. Raises Refused if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(self.status, f"the server's answer is not JSON: {self.text[:80]!r}") from error


class Server:
    """One server. Not safe from several threads; every request blocks until the answer.

    Args:
        url: what comes before every path.
        token: sent as a bearer token, or as basic authentication if it has the form USER:PASSWORD.
        insecure: do not check certificates. ca: file of certificates to trust, besides the system's.

    Raises:
        SettingsError: the URL or the file of certificates cannot be used.
        wait_s: how long the first connection is tried again while it is refused, as by a server that is just starting.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        insecure: bool = False,
        ca: Path | None = None,
        wait_s: float = 0.0,
    ) -> None:
        if not is_url(url):
            raise SettingsError(f"server {url!r} is not a URL. Give one as https://HOST:PORT or http://HOST:PORT.")
        self.url = url.rstrip("/")
        self._parts = urllib.parse.urlsplit(url)
        self._path = self._parts.path.rstrip("/")
        self._headers = {"Authorization": _authorization(token)} if token else {}
        self.tls = _context(insecure, ca) if self._parts.scheme == "https" else None
        self._wait_s = wait_s
        self._connection: http.client.HTTPConnection | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """Send a request and return its answer, whatever the status. Raises Unavailable if there is no answer."""
        target = self._path + path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            # Names in headers may be of any language, and http.client encodes Latin-1 only.
            encoded = {name: value.encode() for name, value in {**self._headers, **(headers or {})}.items()}
            return self._once(method, target, body, encoded, timeout_s)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Unavailable(
                f"{self.url}: its certificate is not trusted ({error.verify_message}). "
                "Give --ca FILE, or --insecure to take any certificate."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(
                f"{self.url}: no answer ({error or type(error).__name__}). Is the server up, and is the address right?"
            ) from error

    def _once(
        self, method: str, target: str, body: bytes | None, headers: dict[str, bytes], timeout_s: float
    ) -> Answer:
        was_open = self._connection is not None
        connection = self._connect(timeout_s)
        try:
            response = _answer(connection, method, target, body, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server may have closed the open connection before it saw this request.
            if not was_open:
                raise
            self.close()
            connection = self._connect(timeout_s)
            response = _answer(connection, method, target, body, headers)
        data = response.read()
        if response.will_close:
            self.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self.tls is not None:
                self._connection = http.client.HTTPSConnection(host, port, context=self.tls, timeout=timeout_s)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
            self._open(self._connection)
            # Small requests follow each other: none may wait for the acknowledgement of the one before.
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sock.settimeout(timeout_s)
        return self._connection

    def _open(self, connection: http.client.HTTPConnection) -> None:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)
            else:
                self._wait_s = 0.0  # a server that was there and is gone is not one that is starting
                return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _answer(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None, headers: dict[str, bytes]
) -> http.client.HTTPResponse:
    """Send a request. Return its answer, also one that came, and ended the connection, before the body was sent."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # if there is no answer, getresponse fails, too
        connection.request(method, target, body, headers)
    return connection.getresponse()


def _authorization(token: str) -> str:
    if ":" in token:
        return "Basic " + base64.b64encode(token.encode()).decode()
    return f"Bearer {token}"


def _context(insecure: bool, ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"--ca {ca}: cannot be read as certificates ({error}).") from error
    return context
