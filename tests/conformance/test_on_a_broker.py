"""A sample of the cases on a real broker, with an aborted transaction and a restart: as in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
from confluent_kafka.admin import NewTopic

from support.kafka import Kafka
from tests.conformance import by_broker
from tests.conformance.by_plain import Plain
from tests.conformance.by_run import Found
from tests.conformance.by_score import FORKS
from tests.conformance.case import Case, Slot, load_cases
from tests.conformance.columns import InRun, left_out
from tests.conformance.facts import RUN, data_of

pytestmark = pytest.mark.broker
SIZE = 40
SERVICES = 4


def _sample() -> list[tuple[Case, str]]:
    """Evenly spread over those of some records that `run` takes, in the one encoding and in the other."""
    able = [
        (case, column)
        for column in RUN
        for case in load_cases()
        if not left_out(case, column) and not case.refused and not case.fails and _records(case) > 1
    ]
    taken = [(case, column) for case, column in able if not InRun(case, column).refusal]
    return [taken[at * len(taken) // SIZE] for at in range(SIZE)]


def _records(case: Case) -> int:
    return len(data_of(case.slots.get(0, Slot())))


SAMPLE = _sample()
Looked = Callable[[Case, str], tuple[InRun, Found]]


@pytest.fixture(scope="module")
def found(broker, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """What came of a case, all of them run together: each has two services, one after the other."""
    kafka = Kafka(broker.servers)
    runs = {f"case-{at}": InRun(*one) for at, one in enumerate(SAMPLE)}
    jobs = {name: run.job(tmp_path_factory.mktemp("case")) for name, run in runs.items()}
    topics = [NewTopic(topic, 1, 1) for name, job in jobs.items() for topic in by_broker.topics_of(name, job)]
    for made in kafka.admin.create_topics(topics).values():
        made.result(30)
    with Plain() as plain, ProcessPoolExecutor(SERVICES, mp_context=FORKS) as services:
        ended: dict[str, str] = {}
        for life in (0, 1):
            for name, job in jobs.items():
                half = (len(job.values) + 1) // 2
                kafka.send(f"{name}-in", [{"value": one} for one in (job.values[half:] if life else job.values[:half])])
            served = {
                name: services.submit(by_broker.serve, job, name, broker.servers, abort=not life)
                for name, job in jobs.items()
            }
            ended |= {name: text for name, one in served.items() if (text := one.result())}
        read = by_broker.read(broker.servers, jobs)
        for name, text in ended.items():
            read[name].failed = text
        for name, run in runs.items():
            run.expect(plain, jobs[name].folder)
    names = {(case.name, column): f"case-{at}" for at, (case, column) in enumerate(SAMPLE)}

    def look(case: Case, column: str) -> tuple[InRun, Found]:
        name = names[case.name, column]
        return runs[name], read[name]

    return look


@pytest.mark.parametrize(("case", "column"), SAMPLE, ids=[f"{case.name}-{column}" for case, column in SAMPLE])
def test_case(case: Case, column: str, found: Looked) -> None:
    run, one = found(case, column)
    assert not one.failed
    run.check_one(one)
