"""HTTP for operators, over fake counters."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.addresses import Address
from stream_scorer.records import Lag, Partition, SourceStatus
from stream_scorer.scoring.totals import Totals
from stream_scorer.service.http import HttpControl
from stream_scorer.service.progress import Progress
from stream_scorer.service.status import Status


class FakeLoop:
    def __init__(self):
        self.phase = "running"
        self.waits_for = ""
        self.totals = Totals()
        self.silent_s = 0.0

    def idle_s(self):
        return self.silent_s


class FakeSessions:
    def __len__(self):
        return 3

    def state_bytes(self):
        return 720


@pytest.fixture
def service():
    loop, progress, lag = FakeLoop(), Progress(), {Partition("prices", 1): Lag(17, age_s=2.5)}
    model = SimpleNamespace(name="toy", sha256="ab" * 32)
    source = {"lag": lag, "rebalances": 2}
    status = Status(
        model,
        loop,
        FakeSessions(),
        lambda: SourceStatus(**source),
        progress,
        alive_s=300,
        ended_hanging=lambda: 3,
    )
    server = HttpControl(Address("127.0.0.1", 0))
    server.show(status)
    yield SimpleNamespace(
        loop=loop, progress=progress, lag=lag, source=source, status=status, get=getter(server), server=server
    )
    server.close()


def getter(server):
    address = f"127.0.0.1:{server.port}"

    def get(path):
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return get


def test_alive_and_ready_while_it_scores(service):
    assert service.get("/livez") == (200, "ok\n")
    assert service.get("/readyz") == (200, "ok\n")


@pytest.mark.parametrize("phase", ["starting", "recovering", "stopped"])
def test_alive_but_not_ready_while_it_waits(service, phase):
    service.loop.phase = phase
    assert service.get("/livez")[0] == 200
    assert service.get("/readyz") == (503, "not ok, see /status\n")


def test_neither_when_the_loop_hangs(service):
    service.loop.silent_s = 301.0
    assert service.get("/livez")[0] == 503
    assert service.get("/readyz")[0] == 503


@pytest.mark.parametrize(
    ("lag", "why"),
    [
        (Lag(None), "prices[2]: no broker tells where it ends"),
        (Lag(5, age_s=31.0), "prices[2]: no broker tells where it ends"),
        (Lag(5, held_s=901.0), "prices[2]: for 901 s nothing can be read behind a transaction that is open there"),
        (Lag(5, age_s=29.0, held_s=899.0), None),
    ],
)
def test_ready_only_where_lag_is_known_and_records_come(lag, why, service):
    service.lag[Partition("prices", 2)] = lag
    assert service.get("/readyz")[0] == (503 if why else 200)
    told = json.loads(service.get("/status")[1])
    assert (told["not_ready"], told["lag"]["prices[2]"]) == (why, lag.records)
    assert ('lag_records{partition="2"' in service.get("/metrics")[1]) == (lag.records is not None)
    assert told["held_seconds"] == ({"prices[2]": lag.held_s} if lag.held_s else {})


def test_ready_without_partitions_once_the_group_has_said_so(service):
    service.lag.clear()
    service.source["joined"] = False
    assert service.get("/readyz")[0] == 503
    service.source["joined"] = True
    assert service.get("/readyz")[0] == 200
    assert "stream_scorer_lag_records{" not in service.get("/metrics")[1]


def test_status_tells_all(service):
    service.loop.totals.add(100, 71, 2, 0.5, 0.25)
    service.progress.restored(Partition("prices", 1), 4, 0.125)
    code, body = service.get("/status")
    told = json.loads(body)
    assert code == 200
    assert service.get("/") == (code, body)
    assert told["model"] == "toy"
    assert told["sha256"] == "ab" * 32
    assert (told["records"], told["scores"], told["rejects"], told["commits"]) == (100, 69, 2, 1)
    assert (told["sessions"], told["session_state_bytes"], told["rebalances"]) == (3, 720, 2)
    assert told["hanging_transactions_ended"] == 3
    assert (told["restored_sessions"], told["restore_seconds"]) == (4, 0.125)
    assert (told["lag"], told["held_seconds"], told["not_ready"]) == ({"prices[1]": 17}, {}, None)


def test_metrics_are_read_when_asked_for(service):
    assert "stream_scorer_records_total 0.0" in service.get("/metrics")[1]
    service.loop.totals.add(100, 71, 2, 0.5, 0.25)
    lines = service.get("/metrics")[1].splitlines()
    for line in (
        "stream_scorer_records_total 100.0",
        "stream_scorer_rejects_total 2.0",
        "stream_scorer_hanging_transactions_ended_total 3.0",
        "stream_scorer_scoring_seconds_total 0.5",
        "stream_scorer_sessions 3.0",
        "stream_scorer_ready 1.0",
        'stream_scorer_lag_records{partition="1",topic="prices"} 17.0',
        'stream_scorer_held_seconds{partition="1",topic="prices"} 0.0',
        "stream_scorer_lag_age_seconds 2.5",
        "stream_scorer_assigned_partitions 1.0",
        f'stream_scorer_model_info{{name="toy",sha256="{"ab" * 32}"}} 1.0',
    ):
        assert line in lines


def test_topics_that_will_not_keep_what_passes_are_told(service):
    assert "topic_retention_at_risk{" not in service.get("/metrics")[1]
    service.status.at_risk = lambda: {"scores": "what to do", "prices": None}
    lines = service.get("/metrics")[1].splitlines()
    assert 'stream_scorer_topic_retention_at_risk{topic="scores"} 1.0' in lines
    assert 'stream_scorer_topic_retention_at_risk{topic="prices"} 0.0' in lines
    assert json.loads(service.get("/status")[1])["retention_at_risk"] == {"scores": "what to do"}


class FakeLive:
    def counters(self):
        yield "evaluations", 12

    def gauges(self):
        yield "forecast_mse", 0.25


def test_figures_of_judged_forecasts_are_told_with_the_rest(service):
    assert "mse" not in service.get("/metrics")[1]
    service.status._live = FakeLive()
    lines = service.get("/metrics")[1].splitlines()
    assert "stream_scorer_evaluations_total 12.0" in lines
    assert "stream_scorer_forecast_mse 0.25" in lines
    told = json.loads(service.get("/status")[1])
    assert (told["evaluations"], told["forecast_mse"]) == (12, 0.25)


@pytest.mark.skipif(sys.platform != "linux", reason="the client library reads /proc")
def test_figures_of_the_process_are_told_before_there_is_a_worker_too():
    server = HttpControl(Address("127.0.0.1", 0))
    try:
        text = getter(server)("/metrics")[1]
    finally:
        server.close()
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        assert f"\nprocess_{name} " in text


def test_a_name_of_any_bytes_is_a_label(service):
    """A file's name that is not UTF-8 would be no text of the answer, and a line feed would forge a metric."""
    service.status.model = "toy\udcff\nforged 1\x1b"
    told = [line for line in service.get("/metrics")[1].splitlines() if line.startswith("stream_scorer_model_info")]
    assert told == [f'stream_scorer_model_info{{name="toy\\\\udcff\\\\nforged 1\\\\x1b",sha256="{"ab" * 32}"}} 1.0']


def test_other_paths_name_what_there_is(service):
    assert service.get("/nothing") == (404, "/livez /readyz /status /metrics\n")


def test_before_there_is_a_worker_it_is_alive_and_not_ready(service):
    server = HttpControl(Address("127.0.0.1", 0))
    get = getter(server)
    try:
        assert get("/livez") == (200, "ok\n")
        assert get("/readyz") == (503, "not ok, see /status\n")
        assert json.loads(get("/status")[1]) == {"phase": "loading", "ready": False}
        assert "stream_scorer" not in get("/metrics")[1]
        server.show(service.status)
        assert get("/readyz") == (200, "ok\n")
        assert "stream_scorer_ready 1.0" in get("/metrics")[1]
    finally:
        server.close()


def test_an_address_in_use_is_told_and_one_that_was_closed_is_free(service):
    address = Address("127.0.0.1", service.server.port)
    with pytest.raises(SettingsError, match=rf"--http {address}: cannot listen on it"):
        HttpControl(address)
    service.server.close()
    HttpControl(address).close()
