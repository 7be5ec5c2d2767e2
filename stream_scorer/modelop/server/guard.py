"""Access control: clients with the token or, without a token, programs of this machine."""

from __future__ import annotations

import base64
import hmac
import urllib.parse
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stream_scorer.modelop.server.answers import text
from stream_scorer.modelop.server.settings import is_loopback

OPEN = ("/docs", "/openapi.json")


class Guard:
    """ASGI middleware. With `token`, 401 for clients without it; else, with `local`, 403 for requests of web pages.

    A page of another site can make a browser post to 127.0.0.1, or resolve its own name to it. Such requests carry
    another Host or Origin.
    """

    def __init__(self, app: ASGIApp, token: str | None, *, local: bool) -> None:
        self._app = app
        self._token = token
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] not in OPEN:
            refused = self._refusal(Headers(scope=scope))
            if refused is not None:
                status, reason = refused
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 1008, "reason": reason})
                    return
                answer = text(reason, status)
                if status == 401:
                    answer.headers["www-authenticate"] = 'Bearer realm="stream-scorer"'
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if self._token is not None:
            sent = tokens(headers.get("authorization", ""))
            if any(hmac.compare_digest(token.encode(), self._token.encode()) for token in sent):
                return None
            return 401, "Authorization required: a bearer token"
        if self._local:
            hosts = [headers.get("host", "")]
            if headers.get("origin"):
                hosts.append(urllib.parse.urlsplit(headers["origin"]).netloc)
            if not all(is_loopback(_name(host)) for host in hosts):
                return 403, "without a token, requests are taken from this machine only, by the name localhost"
        return None


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


def _name(netloc: str) -> str:
    """Return the host of HOST:PORT, without the brackets of IPv6."""
    try:
        return urllib.parse.urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""
