"""Nothing that CI must see is skipped unseen, and no test starts a process in secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.required import REQUIRE_ALL

pytest_plugins = ["pytester"]
CONFTEST = Path(__file__).with_name("conftest.py")
MARKS = "broker container process reference_data soak".split()


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the text of a test file below our conftest.py, in this process."""
    pytester.makeini("[pytest]\nmarkers =\n" + "".join(f"    {mark}\n" for mark in MARKS))
    pytester.makeconftest(CONFTEST.read_text())
    monkeypatch.delenv(REQUIRE_ALL, raising=False)

    def run(text, *flags):
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers", *flags)

    return run


@pytest.mark.parametrize("require_all", [False, True])
@pytest.mark.parametrize(
    ("test", "flags", "title"),
    [
        ("def test_it(kafka): pass", ["--no-broker"], "1 test needs a Kafka broker"),
        ("import pytest\n@pytest.mark.broker\ndef test_it(): pass", ["--no-broker"], "1 test needs a Kafka broker"),
        ("import pytest\n@pytest.mark.broker\ndef test_it(): pytest.skip('so')", [], "1 test needs a Kafka broker"),
        ("def test_it(docker): pass", ["--no-broker"], "1 test needs a Docker engine"),
        (
            "def test_it(reference_data): pass\ndef test_too(reference_data): pass",
            [],
            "2 tests need data that is not here",
        ),
    ],
)
def test_what_is_skipped_for_want_of_something_is_counted_and_in_ci_fails_the_run(
    test, flags, title, require_all, run, monkeypatch
):
    if require_all:
        monkeypatch.setenv(REQUIRE_ALL, "1")
    result = run(test, *flags)
    result.stdout.fnmatch_lines([f"*skipped: {title}*"])
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if require_all else pytest.ExitCode.OK)
    assert ("test_it" in result.stdout.str()) == require_all


def test_soak_tests_run_on_request_in_ci_too(run, monkeypatch):
    monkeypatch.setenv(REQUIRE_ALL, "1")
    result = run("import pytest\n@pytest.mark.soak\ndef test_it(kafka): pass")
    assert result.ret == pytest.ExitCode.OK


STARTS = {
    "Popen": f"import subprocess\ndef test_it(): subprocess.run([{sys.executable!r}, '--version'])",
    "fork": "import os\ndef test_it():\n    if not os.fork(): os._exit(0)\n    os.wait()",
    "fixture": "import os, pytest\n@pytest.fixture\ndef started(): os.system('true')\ndef test_it(started): pass",
}


@pytest.mark.process
@pytest.mark.parametrize("starts", STARTS)
def test_only_a_test_with_the_mark_starts_a_process(starts, run):
    result = run(STARTS[starts])
    result.stdout.fnmatch_lines(["*starts a process: give it the mark `process`*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    marked = "import pytest\n" + STARTS[starts].replace("def test_it", "@pytest.mark.process\ndef test_it")
    assert run(marked).ret == pytest.ExitCode.OK
    assert subprocess.run(["true"], check=False).returncode == 0
