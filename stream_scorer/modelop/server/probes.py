"""/livez and /readyz for those who watch the process, /metrics for Prometheus."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream_scorer.modelop.dataflow.lifecycle import ERROR, MOVES
from stream_scorer.modelop.server.answers import exact, text
from stream_scorer.modelop.server.bodies import Bodies
from stream_scorer.modelop.server.connections import Connections
from stream_scorer.modelop.server.engine import Engine
from stream_scorer.version import __version__

_PREFIX = "stream_scorer_engine_"
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Traffic:
    """What the server counts about its clients. On the event loop only."""

    def __init__(self, connections: Connections, bodies: Bodies) -> None:
        self.connections = connections
        self.bodies = bodies
        self.answers: collections.Counter[str] = collections.Counter({f"{first}xx": 0 for first in range(2, 6)})

    def answered(self, status: int) -> None:
        self.answers[f"{status // 100}xx"] += 1


class _Collector:
    """Reads everything when it is asked. Labels are names of engines, states, and classes of statuses: there are few."""

    def __init__(self, engines: list[Engine], traffic: Traffic) -> None:
        self._engines = engines
        self._traffic = traffic

    def collect(self) -> Iterator[Any]:
        yield InfoMetricFamily(_PREFIX.rstrip("_"), "the program", {"version": __version__})
        state = GaugeMetricFamily(_PREFIX + "state", "1 for the state of the engine", labels=["engine", "state"])
        jets = GaugeMetricFamily(_PREFIX + "jets", "processes that run the model", labels=["engine"])
        loaded = GaugeMetricFamily(_PREFIX + "model_loaded", "1 while a model is loaded", labels=["engine"])
        for engine in self._engines:
            current = engine.manifold.state
            for each in MOVES:
                state.add_metric([engine.name, each], float(each == current))
            model = engine.manifold.active_model()
            jets.add_metric([engine.name], len(model["jets"]) if model else 0)
            loaded.add_metric([engine.name], float(model is not None))
        yield from (state, jets, loaded)
        yield from self._clients()

    def _clients(self) -> Iterator[Any]:
        connections, bodies = self._traffic.connections, self._traffic.bodies
        answers = CounterMetricFamily(_PREFIX + "http_responses", "by class of status", labels=["status"])
        for status, count in self._traffic.answers.items():
            answers.add_metric([status], count)
        yield answers
        ended = CounterMetricFamily(
            _PREFIX + "http_connections_dropped", "by the server, against the client's will", labels=["reason"]
        )
        for reason in ("displaced", "refused", "overdue", "malformed"):
            ended.add_metric([reason], getattr(connections, reason))
        yield ended
        yield CounterMetricFamily(_PREFIX + "http_connections", "since the start", connections.accepted)
        yield GaugeMetricFamily(_PREFIX + "http_connections_open", "now", len(connections))
        yield GaugeMetricFamily(_PREFIX + "http_request_body_bytes", "in memory or announced, now", bodies.held)
        yield GaugeMetricFamily(_PREFIX + "http_unsent_bytes", "of answers on their way, now", bodies.unsent)


def probe_routes(engines: list[Engine], traffic: Traffic) -> list[Route]:
    """Return the routes, each with and without a slash at its end."""
    registry = CollectorRegistry()
    registry.register(_Collector(engines, traffic))
    ProcessCollector(registry=registry)

    async def livez(_: Request) -> Response:
        return text("ok\n")

    async def readyz(_: Request) -> Response:
        if all(engine.manifold.state == ERROR for engine in engines):
            return text("not ok: every engine is in ERROR\n", 503)
        return text("ok\n")

    async def metrics(_: Request) -> Response:
        return exact(generate_latest(registry), _METRICS_TYPE)

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
    return [Route(path + slash, page) for path, page in pages.items() for slash in ("", "/")]
