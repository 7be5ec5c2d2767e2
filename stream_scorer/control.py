"""HTTP for operators: /livez, /readyz, /status and /metrics, in a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.status import Status

PREFIX = "stream_scorer_"


class _Collector:
    """Reads the status when it is scraped: a record costs no metric anything."""

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
        text = "1 once records have passed that are older than the topic keeps, see /status"
        at_risk = GaugeMetricFamily(PREFIX + "topic_retention_at_risk", text, labels=["topic"])
        for topic, told in status.at_risk().items():
            at_risk.add_metric([topic], float(told is not None))
        yield at_risk


def _lag(status: Status) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    place = ["topic", "partition"]
    text = (
        "offsets from what is committed to the end (high watermark); transaction markers count, open transactions too"
    )
    records = GaugeMetricFamily(PREFIX + "lag_records", text, labels=place)
    text = "for how long nothing could be read, as the next record is of an open transaction or behind one; 0 if it can"
    held = GaugeMetricFamily(PREFIX + "held_seconds", text, labels=place)
    for partition, lag in status.lag().items():
        labels = [partition.topic, str(partition.number)]
        held.add_metric(labels, lag.held_s)
        if lag.records is not None:
            records.add_metric(labels, lag.records)
    yield records
    yield held


def start(address: str, status: Status) -> ThreadingHTTPServer:
    """Serve on HOST:PORT or PORT (of loopback) until the process ends. Raises SettingsError if it is taken."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(status))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(registry), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path == "/livez":
                self._tell(status.live())
            elif self.path == "/readyz":
                self._tell(status.ready())
            elif self.path in ("/", "/status"):
                self._answer(200, json.dumps(status.describe(), indent=1).encode(), "application/json")
            else:
                self._answer(404, b"/livez /readyz /status /metrics\n", "text/plain")

        def _tell(self, good: bool) -> None:
            self._answer(200 if good else 503, b"ok\n" if good else b"not ok, see /status\n", "text/plain")

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes every few seconds are no news."""

    host, _, port = address.rpartition(":")
    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"--http {address}: cannot listen there ({error}). Give HOST:PORT that is free.") from error
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
    return server
