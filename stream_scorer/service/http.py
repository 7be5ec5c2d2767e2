"""HTTP for operators: /livez, /readyz, /status and /metrics, in a thread of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from stream_scorer.parsing.addresses import Address, listen
from stream_scorer.safe_text import one_line
from stream_scorer.service.status import Status
from stream_scorer.system.http_server import Answer, HttpServer

PROCESS_S = 1.0
PREFIX = "stream_scorer_"


class _Process:
    """Figures of the process, at most once a second: to count its open files takes longer the more there are."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)
        self._metrics: list[Any] = []
        self._due = 0.0

    def collect(self) -> Iterator[Any]:
        if (now := time.monotonic()) >= self._due:
            self._metrics, self._due = list(self._collector.collect()), now + PROCESS_S
        yield from self._metrics


class _Collector:
    """Reads the status when it is scraped, so that metrics cost nothing per record."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        status = self._status
        yield InfoMetricFamily(
            PREFIX + "model", "the model file", {"name": one_line(status.model), "sha256": status.sha256}
        )
        yield GaugeMetricFamily(PREFIX + "ready", "1 while it scores", float(status.ready()))
        for name, value in status.counters():
            yield CounterMetricFamily(PREFIX + name, f"{name.replace('_', ' ')} since the start", value)
        for name, value in status.gauges():
            yield GaugeMetricFamily(PREFIX + name, f"{name.replace('_', ' ')} now", value)
        yield from _lag(status)
        text = "1 once a record was sent that is older than the topic keeps, see /status"
        at_risk = GaugeMetricFamily(PREFIX + "topic_retention_at_risk", text, labels=["topic"])
        for topic, warning in status.at_risk().items():
            at_risk.add_metric([one_line(topic)], float(warning is not None))
        yield at_risk


def _lag(status: Status) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    place = ["topic", "partition"]
    text = (
        "offsets from what is committed to the end (high watermark); transaction markers count, open transactions too"
    )
    records = GaugeMetricFamily(PREFIX + "lag_records", text, labels=place)
    text = "for how long nothing could be read, as the next record is in an open transaction or behind one; 0 if it can"
    held = GaugeMetricFamily(PREFIX + "held_seconds", text, labels=place)
    for partition, lag in status.lag().items():
        labels = [one_line(partition.topic), str(partition.number)]
        held.add_metric(labels, lag.held_s)
        if lag.records is not None:
            records.add_metric(labels, lag.records)
    yield records
    yield held


class HttpControl:
    """Serves from now on, until `close`, in a thread of its own. Until `show`, the worker is alive and not ready.

    port: where it listens. Raises SettingsError: the address is taken.
    """

    def __init__(self, address: Address) -> None:
        self._status: Status | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Process())
        listener = listen(address, "--http")
        self.port: int = listener.getsockname()[1]
        self._server = HttpServer(listener, self.answer, "control")

    def show(self, status: Status) -> None:
        """Serve the status of this worker from now on."""
        self._registry.register(_Collector(status))
        self._status = status

    def close(self) -> None:
        """Stop listening, and give the answers that are under way. Blocks for a second at most."""
        self._server.close()

    def answer(self, path: str) -> Answer:
        """The answer to a GET request. Safe from any thread."""
        status = self._status
        if path == "/metrics":
            return Answer(200, generate_latest(self._registry), "text/plain; version=0.0.4; charset=utf-8")
        if path in ("/livez", "/readyz"):
            ok = path == "/livez" if status is None else status.live() if path == "/livez" else status.ready()
            return Answer(200, b"ok\n", "text/plain") if ok else Answer(503, b"not ok, see /status\n", "text/plain")
        if path in ("/", "/status"):
            description = {"phase": "loading", "ready": False} if status is None else status.describe()
            return Answer(200, json.dumps(description, indent=1).encode(), "application/json")
        return Answer(404, b"/livez /readyz /status /metrics\n", "text/plain")
