"""The ModelOp engine over HTTP: a server process and clients, each with one connection that stays open.

python -m bench.engine_http HOST PORT SECONDS    one client: posts records, fetches their outputs, repeats
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.figures import quantile
from bench.processes import cpu_s
from support.engine import EngineProcess

RECORD = b'{"id": 7, "value": 3.5}'
AT_A_TIME = 50
CLIENTS = {"HTTP -> jet -> HTTP, one client": 1, "HTTP -> jet -> HTTP, 4 clients": 4}
ROUND_TRIPS = "/2/active/model/roundtrip/0/1"


class Client:
    """The least HTTP client that this needs: requests are built beforehand, an answer is its status and its body."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    @staticmethod
    def request(method: str, path: str, body: bytes = b"") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def ask(self, request: bytes) -> tuple[int, bytes]:
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(head[9:12]), body

    def _receive(self) -> None:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise EOFError("the server closed the connection")
        self._buffer += chunk


def rounds(model: str, seconds: float) -> dict[str, Any]:
    """Figures by number of clients, and of single round trips, on one engine."""
    with tempfile.TemporaryDirectory() as folder, EngineProcess(Path(folder)) as engine:
        engine.run(model)
        pids = engine.wait_for_jets(1)
        return {
            **{name: _clients(engine, count, pids, seconds) for name, count in CLIENTS.items()},
            "round trip over HTTP": _round_trips(engine, seconds),
        }


def _clients(engine: EngineProcess, count: int, jets: list[int], seconds: float) -> dict[str, float]:
    host, _, port = urlsplit(engine.url).netloc.partition(":")
    command = [sys.executable, "-m", "bench.engine_http", host, port, str(seconds)]
    before = [cpu_s(engine.process.pid), cpu_s(*jets)]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    reports = [json.loads(client.communicate(timeout=seconds + 60)[0]) for client in clients]
    server, jet = cpu_s(engine.process.pid) - before[0], cpu_s(*jets) - before[1]
    records = sum(report["records"] for report in reports)
    return {
        "inputs_per_s": sum(report["records"] / report["posting_s"] for report in reports),
        "outputs_per_s": sum(report["records"] / report["fetching_s"] for report in reports),
        "records_per_s": sum(report["records"] / (report["posting_s"] + report["fetching_s"]) for report in reports),
        "records_per_cpu_s": records / (server + jet),
        "cpu_us_per_record": 1e6 * (server + jet) / records,
        "jets_us_per_record": 1e6 * jet / records,
    }


def _round_trips(engine: EngineProcess, seconds: float) -> dict[str, float]:
    host, _, port = urlsplit(engine.url).netloc.partition(":")
    client, request, times = Client(host, int(port)), Client.request("POST", ROUND_TRIPS, RECORD), []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        status, _ = client.ask(request)
        assert status == 200, status
        times.append(1e6 * (time.perf_counter() - began))
    return {"median_us": statistics.median(times), "p99_us": quantile(times, 0.99)}


def main() -> None:
    host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    client = Client(host, port)
    post, fetch = Client.request("POST", "/1/job/input", RECORD), Client.request("GET", "/1/job/output")
    records, posting_s, fetching_s = 0, 0.0, 0.0
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        for _ in range(AT_A_TIME):
            assert client.ask(post)[0] == 204
        posted = time.perf_counter()
        left = AT_A_TIME
        while left:
            left -= client.ask(fetch)[0] == 200
        records += AT_A_TIME
        posting_s += posted - began
        fetching_s += time.perf_counter() - posted
    print(json.dumps({"records": records, "posting_s": posting_s, "fetching_s": fetching_s}))


if __name__ == "__main__":
    main()
