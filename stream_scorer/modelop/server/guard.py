"""Access control: clients with the token or, without a token, programs of this machine. Web pages of others in no case."""

from __future__ import annotations

import base64
import hmac
import urllib.parse

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_scorer.modelop.server.answers import text
from stream_scorer.modelop.server.probes import Traffic
from stream_scorer.modelop.server.settings import is_loopback

OPEN = ("/docs", "/openapi.json", "/livez", "/readyz")
SAFE_HEADERS = [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")]
"""Headers of all answers: a browser shows none of them as what it is not, nor to pages of other sites."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Guard:
    """ASGI middleware. 403 for requests of web pages of another origin; with `token`, 401 for clients without it.

    A page can make the browser of whoever looks at it post to 127.0.0.1 or load an image from it, or resolve the name of
    its own site to it. Browsers tell on them, by the headers Sec-Fetch-Site, Origin and Host. Another port is another
    origin: a page of another local program is refused, too. Other clients send none of the first two.

    Args:
        local: the server listens on this machine only. Then, without a token, the Host must be a name of this machine.
    """

    def __init__(self, app: ASGIApp, token: str | None, traffic: Traffic, *, local: bool) -> None:
        self._app = app
        self._token = token
        self._traffic = traffic
        self._local = local and token is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = self._counting(send)
        if scope["path"].rstrip("/") not in OPEN:
            refused = self._refusal(Headers(scope=scope))
            if refused is not None:
                await _refuse(*refused, scope, receive, send)
                return
            if "connection" in scope:
                scope["connection"].known = True
        await self._app(scope, receive, send)

    def _counting(self, send: Send) -> Send:
        async def counting(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                self._traffic.answered(message["status"])
            await send(message)

        return counting

    def _refusal(self, headers: Headers) -> tuple[int, str] | None:
        """Return status and text of the refusal; None: it may pass."""
        hosts = headers.getlist("host")
        if len(hosts) > 1:
            return 400, "the request has several Host headers"
        host = hosts[0] if hosts else ""
        if self._token is not None:
            sent = tokens(headers.get("authorization", ""))
            if not any(hmac.compare_digest(token.encode(), self._token.encode()) for token in sent):
                return 401, "Authorization required: a bearer token"
        if self._local and not is_loopback(_place(f"//{host}")[0]):
            return 403, "without a token, requests are taken from this machine only, by the name localhost"
        if _of_another_page(headers, host):
            return 403, "requests of web pages are taken from pages of this very address only"
        return None


def _of_another_page(headers: Headers, host: str) -> bool:
    """Return whether a browser says that the request is the doing of a page of another origin.

    Browsers before 2023 may send no Sec-Fetch-Site, and no Origin with an image: but a Referer.
    """
    sites = headers.getlist("sec-fetch-site")
    if any(site.strip().lower() not in ("same-origin", "none") for site in sites):
        return True
    origins = headers.getlist("origin") or ([] if sites else headers.getlist("referer"))
    return any(_place(origin) != _place(f"{origin.partition(':')[0]}://{host}") for origin in origins)


async def _refuse(status: int, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    answer = text(reason, status)
    if status == 401:
        answer.headers["www-authenticate"] = 'Bearer realm="stream-scorer"'
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
    else:
        await answer(scope, receive, send)


def tokens(authorization: str) -> list[str]:
    """Return what may be the token in the header: clients send it bare, as a bearer (once or twice) or as a password."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return [rest.strip(), rest.strip().removeprefix("Bearer ")]
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode()
        except ValueError:
            return []
        return [pair.partition(":")[2], pair]
    return [authorization.strip()]


def _place(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL, without the brackets of IPv6; ("", None) if it is none, as `null`."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None
