"""Every case in every column: as the case has it, and alike."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.engine import EngineProcess
from tests.conformance import by_run, by_score
from tests.conformance.by_engine import ByEngine
from tests.conformance.by_plain import Plain
from tests.conformance.case import Case, load_cases
from tests.conformance.columns import COLUMNS, InPlain, InRun, left_out
from tests.conformance.facts import RUN
from tests.conformance.outcome import Outcome, check

pytestmark = pytest.mark.process

CASES = load_cases()
ENGINES = 2
HERE = [(case, column) for case in CASES for column in COLUMNS if not left_out(case, column)]

Run = Callable[[Case, str], object]


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """What came of a case in a column. Those of this session run ahead of their tests, one on each engine at a time."""
    items = [item for item in request.session.items if item.path == Path(__file__)]
    wanted = [(item.callspec.params["case"], item.callspec.params["column"]) for item in items]  # type: ignore[attr-defined]
    engines: queue.SimpleQueue[ByEngine] = queue.SimpleQueue()

    def on_engine(case: Case, folder: Path) -> Outcome:
        engine = engines.get()
        try:
            return engine.run(case, folder)
        finally:
            engines.put(engine)

    with ExitStack() as stack:
        for _ in range(min(ENGINES, sum(column == "engine" for _, column in wanted))):
            process = stack.enter_context(EngineProcess(tmp_path_factory.mktemp("server")))
            engines.put(stack.enter_context(ByEngine(process)))
        plain, runs = stack.enter_context(Plain()), stack.enter_context(by_run.Runs())
        ways: dict[str, Callable[[Case, Path], object]] = {
            "plain": lambda case, folder: InPlain(case, plain, folder),
            "score": by_score.run,
            "engine": on_engine,
            **{
                column: lambda case, folder, column=column: InRun(case, column).run(runs, folder).expect(plain, folder)
                for column in RUN
            },
        }
        pool = stack.enter_context(ThreadPoolExecutor(ENGINES))
        futures: dict[tuple[str, str], Future[object]] = {
            (case.name, column): pool.submit(
                lambda *one: ways[one[1]](one[0], one[2]), case, column, tmp_path_factory.mktemp("case")
            )
            for case, column in wanted
        }
        yield lambda case, column: futures[case.name, column].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("case", "column"), HERE, ids=[f"{case.name}-{column}" for case, column in HERE])
def test_case(case: Case, column: str, found: Run) -> None:
    outcome = found(case, column)
    if isinstance(outcome, InPlain | InRun):
        outcome.check()
        return
    assert isinstance(outcome, Outcome)
    check(case, outcome, case.restored if column == "engine" and case.restored else case.slots)
    if column == "engine" and not case.only:
        assert outcome.data() == found(case, "score").data()  # type: ignore[attr-defined]
