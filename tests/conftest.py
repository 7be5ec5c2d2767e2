"""Options, fixtures that many tests need, and the rule that CI skips no test for want of what it needs."""

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
from hypothesis import settings

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
from tests.support.processes import Processes
from tests.support.required import Required
from tests.support.secured import SecuredBroker
from tests.support.summary import SUMMARY_LINES

# A busy machine is no fault of the code: no deadline. `make check` takes the quick one, of the same examples each time.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True, database=None)
settings.load_profile("full")

LINE = "line of the summary"
B = TypeVar("B", bound=Broker)
_lines: list[object] = []


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Required())
    config.pluginmanager.register(Processes())


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
def _summary_lines(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Send a test's lines for the summary along with its report: tests may run in several processes."""
    yield
    while SUMMARY_LINES:
        record_property(LINE, SUMMARY_LINES.pop(0))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _lines.extend(value for name, value in report.user_properties if name == LINE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _lines:
        terminalreporter.section("under faults, as a committed reader saw it; and fuzzed inputs")
        for line in _lines:
            terminalreporter.line(str(line))


@contextlib.contextmanager
def _running(make: Callable[[], B], kind: str = "") -> Iterator[B]:
    """A broker for as long as the block; without one the test fails. `kind`: words for the text of that failure."""
    try:
        broker = make()
    except NoBroker as error:
        pytest.fail(f"no Kafka broker{kind} for this test: {error}", pytrace=False)
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One real broker for the whole run."""
    with _running(find_broker) as broker:
        yield broker


@pytest.fixture(scope="session")
def own_broker(broker: Broker) -> Iterator[Broker]:
    """A broker that a test may stop and kill: the run's, unless that is somebody else's."""
    if broker.ours:
        yield broker
        return
    with _running(lambda: DockerBroker() if docker_answers() else NativeBroker(), " of our own") as own:
        yield own


@pytest.fixture(scope="session")
def secured() -> Iterator[SecuredBroker]:
    """A second broker, with TLS, SASL and ACLs, for the rest of the run from the first test on that needs it."""
    if os.environ.get(VARIABLE) != "native" and docker_answers() and not shutil.which("java"):
        pytest.skip("a broker with TLS and SASL is run by Java, which is not here")
    with _running(SecuredBroker, " with TLS and SASL") as secured:
        yield secured


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
    return lambda kind: f"t{_run}-{number}-{kind}"


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """Real prices and CPI beside the checkout; None where they are not."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    return folder if (folder / "sp500.csv").is_file() else None


@pytest.fixture(scope="session")
def reference_data(shared_data: Path | None) -> Path:
    """The same, with the tutorial's checkpoint of TensorFlow 1.4, for tests that have no use for made-up data."""
    if shared_data is None:
        pytest.skip("no reference data in shared/data beside the checkout")
    return shared_data
