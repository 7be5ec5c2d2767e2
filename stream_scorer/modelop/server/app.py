"""The ASGI application: every instance under its prefix, and all of them under none."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from stream_scorer.modelop.client.fleet_client import PREFIX
from stream_scorer.modelop.server import connect, engine_api, engine_api_1, model_manage
from stream_scorer.modelop.server.answers import json_answer, one_line, text
from stream_scorer.modelop.server.api import Api
from stream_scorer.modelop.server.bodies import Bodies, in_pieces
from stream_scorer.modelop.server.hosted_fleet import HostedFleet
from stream_scorer.modelop.server.openapi import document, page
from stream_scorer.modelop.server.probes import Traffic, probe_routes

ENGINE: Api[Any] = Api("engine", "Engine")
ENGINE.include(engine_api.API)
ENGINE.include(engine_api_1.API)
_PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
APIS: dict[str, Api[Any]] = {"engine": ENGINE, "model-manage": model_manage.API, "connect": connect.API}


def make_app(fleet: HostedFleet, bodies: Bodies, traffic: Traffic) -> Starlette:
    """`/api/1/service/NAME/...` is the instance of that name. A path without this prefix is one of the first engine, or else of
    the other instances: an engine that runs alone looks for Model Manage and Connect there. Of the paths that several
    instances have (health, swagger, sensors), those of the engine are served.
    """
    others: list[Any] = [*([fleet.model_manage] if fleet.model_manage else []), fleet.connect]

    async def pneumo(socket: WebSocket) -> None:
        await fleet.pneumo.serve(socket)

    def routes(instance: Any) -> list[BaseRoute]:
        more = [WebSocketRoute("/2/pneumo", pneumo)] if instance.api == "connect" else []
        return [*APIS[instance.api].routes(instance, bodies), *more]

    mounts = []
    for instance in [*fleet.engines, *others]:
        instance.document = document({"": APIS[instance.api]})
        mounts.append(Mount(f"{PREFIX}/{instance.name}", Router(routes(instance), redirect_slashes=False)))
    bare = [route for instance in [fleet.engines[0], *others] for route in routes(instance)]
    everything = document(
        {"": ENGINE} | {f"{PREFIX}/{each.name}": APIS[each.api] for each in [*fleet.engines, *others]}
    )
    contents, html = json_answer(everything), HTMLResponse(page(everything), headers=_PAGE_HEADERS)

    async def openapi(_: Request) -> ASGIApp:
        return in_pieces(contents)

    async def docs(_: Request) -> ASGIApp:
        return in_pieces(html)

    async def root(_: Request) -> Response:
        return RedirectResponse("/docs")

    pages = [Route("/openapi.json", openapi), Route("/docs", docs), Route("/", root)]
    pages += probe_routes(fleet.engines, traffic)
    app = Starlette(routes=[*mounts, *bare, *pages], exception_handlers={404: _no_path, 405: _no_method})
    app.router.redirect_slashes = False
    return app


async def _no_path(request: Request, _: Exception) -> Response:
    return text(one_line(f"nothing at {request.scope['path']}: /docs lists the paths"), 404)


async def _no_method(request: Request, error: Exception) -> Response:
    answer = text(one_line(f"{request.method} does not go with {request.scope['path']}: /docs lists the paths"), 405)
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update(error.headers)
    return answer
