"""What tests need that a machine may lack: a broker, Docker, the reference data. Skipped tests are counted; in CI they fail
the run."""

from __future__ import annotations

import os

import pytest

REQUIRE_ALL = "STREAM_SCORER_REQUIRE_ALL"
"""Set by CI: the run fails if a test was skipped for want of one of these."""
_MARK_OF_FIXTURE = {"broker": "broker", "docker": "container", "reference_data": "reference_data"}
_NEEDS = {
    "broker": "a Kafka broker",
    "container": "a Docker engine",
    "reference_data": "data that is not here: shared/data beside the checkout, which is not published",
}


class Required:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self._skipped: dict[str, list[str]] = {mark: [] for mark in _NEEDS}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """A test that uses a fixture has its mark: nobody can forget it."""
        for item in items:
            for fixture, mark in _MARK_OF_FIXTURE.items():
                if fixture in getattr(item, "fixturenames", ()):
                    item.add_marker(mark)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and "soak" not in report.keywords:  # those run on request only
            for mark in [mark for mark in _NEEDS if mark in report.keywords][:1]:
                self._skipped[mark].append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._fails() and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for mark, tests in self._skipped.items():
            if tests:
                verb = "test needs" if len(tests) == 1 else "tests need"
                terminalreporter.section(f"skipped: {len(tests)} {verb} {_NEEDS[mark]}")
                if self._fails():
                    terminalreporter.line(f"{REQUIRE_ALL} is set: the run has failed. They are:")
                    for test in tests:
                        terminalreporter.line(test)

    def _fails(self) -> bool:
        return bool(os.environ.get(REQUIRE_ALL)) and any(self._skipped.values())
