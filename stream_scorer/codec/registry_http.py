"""Requests to a schema registry by Python's own HTTP client: passwords, tokens, certificates and proxies.

Connections stay open between requests: over TLS a new one costs a hundred requests. No redirect is followed: credentials
are for the registry, not for the address of a redirect.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from typing import Any

from stream_scorer.codec.registry_access import Access
from stream_scorer.codec.registry_answers import MAX_TEXT, BadAnswer, Definition, NoRegistry, Reference, unread

_MAX_ANSWER = 16 << 20  # bytes
_MAX_ERROR = 1 << 16  # bytes of an answer that is an error
_MAX_IDLE = 16
_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class HttpCalls:
    """The `Calls` of a registry."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._parts = urllib.parse.urlsplit(access.url)
        self._headers = {
            "Content-Type": "application/vnd.schemaregistry.v1+json",
            "Accept": "application/vnd.schemaregistry.v1+json, application/json",
            **access.headers(),
        }
        self._proxy = _proxy(access, self._parts)
        if self._proxy and access.context is None:
            self._headers |= _for_proxy(self._proxy)
        self._idle: list[http.client.HTTPConnection] = []

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

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        try:
            return self._once(method, path, data)
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _once(self, method: str, path: str, data: bytes | None) -> Any:
        """Over an idle connection first: if the registry has closed it meanwhile, over a new one."""
        with contextlib.suppress(IndexError):
            try:
                return self._over(self._idle.pop(), method, path, data)
            except _GONE:
                pass
        return self._over(self._connect(), method, path, data)

    def _over(self, connection: http.client.HTTPConnection, method: str, path: str, data: bytes | None) -> Any:
        # A server that sends a byte now and then would keep each of its reads alive.
        limit = threading.Timer(self.access.timeout_s, _cut, [connection])
        limit.start()
        try:
            connection.request(method, self._target(path), data, self._headers)
            answer = connection.getresponse()
            body = _whole(answer, self.access.timeout_s)
        except BaseException as error:
            _check_alert(connection, error)
            connection.close()
            raise
        finally:
            limit.cancel()
        if answer.will_close or len(self._idle) > _MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        if not 200 <= answer.status < 300:
            raise _bad(answer, body)
        return _json(body)

    def _target(self, path: str) -> str:
        """A proxy of plain http takes whole URLs; it and the registry share the credentials."""
        return self.access.url + path if self._proxy and not self.access.context else self._parts.path + path

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        timeout_s, context = self.access.timeout_s, self.access.context
        via = self._proxy
        if context is None:
            connection = http.client.HTTPConnection(
                via.hostname or "" if via else host, via.port if via else port, timeout=timeout_s
            )
        else:
            connection = http.client.HTTPSConnection(
                via.hostname or "" if via else host, via.port if via else port, timeout=timeout_s, context=context
            )
            if via:
                connection.set_tunnel(host, port or 443, _for_proxy(via))
        connection.connect()
        with contextlib.suppress(OSError):  # small requests follow each other: none waits for an acknowledgement
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _proxy(access: Access, registry: urllib.parse.SplitResult) -> urllib.parse.SplitResult | None:
    """The proxy on the way, as set or as the environment says."""
    url = access.proxy
    if not url and not urllib.request.proxy_bypass(registry.netloc):
        url = urllib.request.getproxies().get(registry.scheme, "")
    if not url:
        return None
    return urllib.parse.urlsplit(url if "://" in url else f"http://{url}")


def _for_proxy(proxy: urllib.parse.SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    user_info = f"{urllib.parse.unquote(proxy.username)}:{urllib.parse.unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(user_info.encode()).decode()}


def _cut(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):  # it is closed already
        connection.sock.shutdown(socket.SHUT_RDWR)


def _check_alert(connection: http.client.HTTPConnection, error: BaseException) -> None:
    """Raises SSLError: a server that wants another certificate says so after the handshake, when we are writing already."""
    if isinstance(connection.sock, ssl.SSLSocket) and isinstance(error, ssl.SSLEOFError | ConnectionError):
        try:
            connection.sock.recv(1)
        except ssl.SSLEOFError:
            pass
        except ssl.SSLError as alert:
            connection.close()
            raise alert from error
        except OSError:
            pass


def _quoted(subject: str) -> str:
    try:
        return urllib.parse.quote(subject, safe="")
    except UnicodeEncodeError as error:
        raise NoRegistry("a subject is no text") from error


def _whole(answer: http.client.HTTPResponse, timeout_s: float) -> bytes:
    """The body of an answer. Raises OSError: it takes too long or is incomplete; NoRegistry: it is too large for a registry."""
    limit = _MAX_ANSWER if 200 <= answer.status < 300 else _MAX_ERROR
    body, deadline = bytearray(), time.monotonic() + timeout_s
    while part := answer.read1(1 << 16):
        body += part
        if len(body) > limit:
            answer.close()
            if limit == _MAX_ERROR:  # its beginning says enough
                answer.will_close = True
                return bytes(body[:limit])
            raise NoRegistry(f"answered with more than {limit >> 20} MB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"no whole answer in {timeout_s:.0f} s")
    if answer.length:  # `read1` does not raise an error itself
        raise ConnectionError("the answer was cut off")
    answer.close()  # not the connection, which takes the next request only after this
    return bytes(body)


def _json(body: bytes) -> Any:
    """The body as JSON. Raises OSError: it is incomplete; NoRegistry: it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unread(body[:MAX_TEXT].decode(errors="replace")) from error


def _bad(answer: http.client.HTTPResponse, body: bytes) -> BadAnswer:
    code, text = None, body.decode(errors="replace")
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        said = json.loads(body)
        code, text = said["error_code"], str(said["message"])
    if to := answer.headers.get("Location"):
        text = f"{text[:MAX_TEXT]} It points to {to}"
    return BadAnswer(answer.status, code, text, _after(answer.headers.get("Retry-After")))


def _after(value: str | None) -> float | None:
    """Seconds from now of Retry-After, which has seconds or a date; None for another text."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdecimal():
        return float(value)
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _definition(answer: Any) -> Definition:
    try:
        text = answer["schema"]
        references = [
            Reference(str(other["subject"]), int(other["version"])) for other in answer.get("references") or ()
        ]
        kind = str(answer.get("schemaType", "AVRO"))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NoRegistry("answered with JSON that has no schema") from error
    if not isinstance(text, str):
        raise NoRegistry("answered with JSON that has no schema")
    return Definition(text, kind, tuple(references))
