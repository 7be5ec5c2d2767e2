"""Every case by `stream-scorer score` and on a REST engine: as the case has it, and both alike."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance import by_score
from tests.conformance.by_engine import ByEngine
from tests.conformance.case import Case, load_cases
from tests.conformance.outcome import Outcome, check
from tests.support.engine import EngineProcess

CASES = load_cases()
ENGINES = 2

Found = dict[str, Outcome]


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Found]]:
    """What came of a case. The cases of this session run ahead of their tests, one on each engine at a time."""
    items = [item for item in request.session.items if item.path == Path(__file__)]
    wanted: list[Case] = [item.callspec.params["case"] for item in items]  # type: ignore[attr-defined]
    engines: queue.SimpleQueue[ByEngine] = queue.SimpleQueue()

    def run(case: Case) -> Found:
        outcomes = {}
        if case.only != "engine":
            outcomes["score"] = by_score.run(case, tmp_path_factory.mktemp("score"))
        if case.only != "score":
            engine = engines.get()
            try:
                outcomes["engine"] = engine.run(case, tmp_path_factory.mktemp("engine"))
            finally:
                engines.put(engine)
        return outcomes

    with ExitStack() as stack:
        for _ in range(min(ENGINES, len(wanted))):
            process = stack.enter_context(EngineProcess(tmp_path_factory.mktemp("server")))
            engines.put(stack.enter_context(ByEngine(process)))
        pool = stack.enter_context(ThreadPoolExecutor(ENGINES))
        futures: dict[str, Future[Found]] = {case.name: pool.submit(run, case) for case in wanted}
        yield lambda case: futures[case.name].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, found: Callable[[Case], Found]) -> None:
    outcomes = found(case)
    for where, outcome in outcomes.items():
        check(case, outcome, case.restored if where == "engine" and case.restored else case.slots)
    if not case.only:
        assert outcomes["engine"].data() == outcomes["score"].data()
