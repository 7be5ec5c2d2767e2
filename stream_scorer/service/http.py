"""HTTP for operators: /livez, /readyz, /status and /metrics, in a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from stream_scorer.parsing.addresses import Address, listen
from stream_scorer.service.status import Status

PREFIX = "stream_scorer_"


class _Collector:
    """Reads the status when it is scraped, so that metrics cost nothing per record."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        status = self._status
        yield InfoMetricFamily(PREFIX + "model", "the model file", {"name": status.model, "sha256": status.sha256})
        yield GaugeMetricFamily(PREFIX + "ready", "1 while it scores", float(status.ready()))
        for name, value in status.counters():
            yield CounterMetricFamily(PREFIX + name, f"{name.replace('_', ' ')} since the start", value)
        for name, value in status.gauges():
            yield GaugeMetricFamily(PREFIX + name, f"{name.replace('_', ' ')} now", value)
        yield from _lag(status)
        text = "1 once a record was sent that is older than the topic keeps, see /status"
        at_risk = GaugeMetricFamily(PREFIX + "topic_retention_at_risk", text, labels=["topic"])
        for topic, warning in status.at_risk().items():
            at_risk.add_metric([topic], float(warning is not None))
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
        labels = [partition.topic, str(partition.number)]
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
        listener = listen(address, "--http")
        self._server = ThreadingHTTPServer(address, self._handler(), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self.port: int = listener.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def show(self, status: Status) -> None:
        """Serve the status of this worker from now on."""
        self._registry.register(_Collector(status))
        self._status = status

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """(HTTP status, body, content type) of a GET request. Safe from any thread."""
        status = self._status
        if path == "/metrics":
            return 200, generate_latest(self._registry), "text/plain; version=0.0.4; charset=utf-8"
        if path in ("/livez", "/readyz"):
            ok = path == "/livez" if status is None else status.live() if path == "/livez" else status.ready()
            return (200, b"ok\n", "text/plain") if ok else (503, b"not ok, see /status\n", "text/plain")
        if path in ("/", "/status"):
            description = {"phase": "loading", "ready": False} if status is None else status.describe()
            return 200, json.dumps(description, indent=1).encode(), "application/json"
        return 404, b"/livez /readyz /status /metrics\n", "text/plain"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        control = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body, content_type = control.answer(self.path)
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Probes every few seconds would fill the log."""

        return Handler
