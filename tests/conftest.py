"""Options, the broker, and the rule that a broker test is never skipped by accident."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from support.brokers import (
    VARIABLE,
    Broker,
    DockerBroker,
    NativeBroker,
    NoBroker,
    docker_answers,
    find_broker,
)
from support.kafka import Kafka
from tests.support.secured import SecuredBroker
from tests.support.told import TOLD

REQUIRE_ALL = "STREAM_SCORER_REQUIRE_ALL"
TELLS = "tells"
B = TypeVar("B", bound=Broker)
_skipped: list[str] = []
_told: list[object] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-broker", action="store_true", help="leave out the tests that need a Kafka broker or Docker")
    parser.addoption(
        "--soak", nargs="?", type=float, const=30, metavar="MINUTES", help="run the long fault test too (30 minutes)"
    )
    parser.addoption(
        "--fuzz", nargs="?", type=float, const=1, metavar="MILLIONS", help="so many fuzzed inputs, with a new seed"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    by_choice = pytest.mark.skip(reason="--no-broker")
    not_asked = pytest.mark.skip(reason="runs with --soak")
    for item in items:
        if config.getoption("--no-broker") and any(item.get_closest_marker(name) for name in ("broker", "container")):
            item.add_marker(by_choice)
        if item.get_closest_marker("soak") and not config.getoption("--soak"):
            item.add_marker(not_asked)


@pytest.fixture(autouse=True)
def _loggers_are_as_at_the_start() -> None:
    """A command sets its logs up, maybe for a whole module of tests; caplog must still hear the tests after it."""
    for name in ("stream_scorer", "librdkafka"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [], True
        logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _tell(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """What a test has to tell travels with its report, as tests may run in several processes."""
    yield
    while TOLD:
        record_property(TELLS, TOLD.pop(0))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not {"broker", "container"}.isdisjoint(report.keywords) and "soak" not in report.keywords:
        _skipped.append(report.nodeid)
    if report.when == "teardown":
        _told.extend(value for name, value in report.user_properties if name == TELLS)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if os.environ.get(REQUIRE_ALL) and _skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _told:
        terminalreporter.section("under faults, as a committed reader saw it; and fuzzed inputs")
        for line in _told:
            terminalreporter.line(str(line))
    if os.environ.get(REQUIRE_ALL) and _skipped:
        terminalreporter.section(f"skipped although {REQUIRE_ALL} is set: the run has failed")
        for name in _skipped:
            terminalreporter.line(name)


@contextlib.contextmanager
def _running(make: Callable[[], B], what: str = "") -> Iterator[B]:
    """A broker for as long as the block; without one the test fails. `what` it is, for the text."""
    try:
        found = make()
    except NoBroker as error:
        pytest.fail(f"no Kafka broker{what} for this test: {error}", pytrace=False)
    yield found
    found.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One real broker for the whole run."""
    with _running(find_broker) as found:
        yield found


@pytest.fixture(scope="session")
def own_broker(broker: Broker) -> Iterator[Broker]:
    """A broker that a test may stop and kill: the run's, unless that is somebody else's."""
    if broker.ours:
        yield broker
        return
    with _running(lambda: DockerBroker() if docker_answers() else NativeBroker(), " of our own") as found:
        yield found


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredBroker]:
    """A second broker, with TLS and SASL, for as long as a module of tests needs it."""
    if os.environ.get(VARIABLE) != "native" and docker_answers() and not shutil.which("java"):
        pytest.skip("a broker with TLS and SASL is run by Java, which is not here")
    with _running(SecuredBroker, " with TLS and SASL") as found:
        yield found


@pytest.fixture
def own_kafka(own_broker: Broker) -> Kafka:
    return Kafka(own_broker.servers)


@pytest.fixture(scope="session")
def docker() -> None:
    if not docker_answers():
        pytest.skip("no Docker engine answers `docker info`")


@pytest.fixture
def kafka(broker: Broker) -> Kafka:
    return Kafka(broker.servers)


_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:6]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Names no other test has, for topics and groups."""
    number = next(_numbers)
    return lambda what: f"t{_run}-{number}-{what}"


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """Real prices and CPI beside the checkout, where there are any."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    return folder if (folder / "sp500.csv").is_file() else None
