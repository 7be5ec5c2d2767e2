"""The driver that people test their models with."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from stream_scorer.errors import ActionError, EncodeError, ModelError, SettingsError, StateError
from stream_scorer.testing import Driver, Output

COUNT = """
    # fastscore.schema.0: double
    # fastscore.schema.1: double
    total = 0.0
    def action(x):
        global total
        if x < 0:
            raise ValueError("below 0")
        total += x
        yield total
"""
WINDOW = """
    # fastscore.schema.0: double
    # fastscore.schema.1: double
    # stream-scorer.window: 2
    window = []
    def action(x):
        global window
        window = [*window, x][-2:]
        yield {} * sum(window)
"""


@pytest.fixture
def total(write) -> Path:
    return write("total.py", COUNT)


def test_outputs_rejects_and_state_of_records(total):
    with Driver(total) as driver:
        assert driver.send(1.0, key="a") == [Output(0, 1, 1.0, "a")]
        assert driver.send(5.0, key="b") == [Output(1, 1, 5.0, "b")]
        assert driver.send(-1.0, key="a") == []
        assert driver.send_all([2.0, 3.0], key="a") == [Output(3, 1, 3.0, "a"), Output(4, 1, 6.0, "a")]
        assert driver.state("a") == {"total": 6.0}
        assert driver.state("new") == {"total": 0.0}
        assert [out.value for out in driver.outputs] == [1.0, 5.0, 3.0, 6.0]
        (reject,) = driver.rejects
        assert (reject.offset, reject.key, reject.stage, reject.error) == (2, "a", "action", "ValueError")
        assert "below 0" in reject.message


def test_a_restart_takes_the_state_through_its_bytes(total, monkeypatch):
    from stream_scorer.state import values

    loaded = []
    load = values.load
    with Driver(total) as driver:
        driver.send(1.0, key="a")
        monkeypatch.setattr(values, "load", lambda data: loaded.append(data) or load(data))
        driver.restart()
        assert values.dump([1.0]) in [bytes(data) for data in loaded]
        assert driver.state("a") == {"total": 1.0}
        assert driver.send(2.0, key="a") == [Output(1, 1, 3.0, "a")]
    assert [out.value for out in driver.outputs] == [1.0, 3.0]


def test_an_aborted_transaction_leaves_no_trace(write, capsys):
    total = write("printing.py", COUNT.replace("yield total", "print(x)\n        yield total"))
    with Driver(total) as driver:
        driver.send(1.0)
        driver.abort_next()
        assert [out.value for out in driver.send_all([2.0, 3.0])] == [3.0, 6.0]
        assert driver.send(4.0)[0].value == 10.0
    assert capsys.readouterr().out.split() == ["1.0", "2.0", "3.0", "2.0", "3.0", "4.0"]


def test_another_model_is_refused_the_state_as_the_service_does(total, write):
    other = write("v2/total.py", COUNT + "    # another version\n")
    with Driver(total) as driver:
        driver.send(1.0)
        with pytest.raises(ModelError, match="saved by another model"):
            driver.restart(other)


def test_another_model_rebuilds_its_window(write):
    one, two = write("v1/sums.py", WINDOW.format(1)), write("v2/sums.py", WINDOW.format(10))
    with Driver(one) as driver:
        assert [out.value for out in driver.send_all([1.0, 2.0])] == [1.0, 3.0]
        driver.restart(two)
        assert [out.value for out in driver.send(3.0)] == [50.0]
        assert [out.value for out in driver.outputs] == [1.0, 3.0, 50.0]


def test_bytes_that_are_no_value_are_rejected(total):
    with Driver(total) as driver:
        driver.send_bytes(b"\x00")
        driver.send_bytes(None)
        assert [reject.stage for reject in driver.rejects] == ["decode", "decode"]
        with pytest.raises(EncodeError):
            driver.send("x")
        assert driver.send(1.0) == [Output(2, 1, 1.0)]


def test_settings_are_those_of_run(total):
    with Driver(total, session="partition", session_ttl=10) as driver:
        driver.send(1.0, key="a", timestamp=0)
        assert driver.send(1.0, key="b", timestamp=1_000)[0].value == 2.0
        assert driver.state() == {"total": 2.0}
        assert driver.send(1.0, key="c", timestamp=20_000)[0].value == 1.0
    with Driver(total, on_bad_record="fail") as driver, pytest.raises(ActionError, match="below 0"):
        driver.send(-1.0)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sesion": "key"}, r"sesion: no such setting\. .*session"),
        ({"kafka": {"a": "b"}}, "kafka: .* has no meaning here"),
        ({"workers": 2}, "workers: .* has no meaning here"),
        ({"session": "keys"}, "'keys' is not one of key, partition, all"),
    ],
)
def test_settings_that_are_none_are_refused(total, settings, text):
    with pytest.raises(SettingsError, match=text):
        Driver(total, **settings)


def test_no_changelog_no_state_after_a_restart(total):
    with Driver(total, changelog=False) as driver:
        driver.send(1.0)
        driver.restart()
        assert driver.send(1.0)[0].value == 1.0


def test_several_slots_and_no_schemas(write):
    path = write("two.py", "# fastscore.slot.3: in-use\ndef action(x):\n yield x\n yield 3, {'twice': 2 * x['v']}\n")
    with Driver(path) as driver:
        assert driver.send({"v": 2}) == [Output(0, 1, {"v": 2}), Output(0, 3, {"twice": 4})]
        assert driver.send_bytes(json.dumps({"v": 3}).encode())[1].value == {"twice": 6}


def test_evaluations_of_forecasts(write):
    path = write(
        "naive.py", "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n yield x + 1\n"
    )
    with Driver(path, evaluate=True) as driver:
        driver.send_all([1.0, 4.0], key="a")
        driver.restart()
        driver.send(6.0, key="a")
    assert [(one["forecast"], one["actual"]) for one in driver.evaluations] == [(2.0, 4.0), (5.0, 6.0)]
    assert len(driver.outputs) == 3


def test_batches_and_restarts_change_no_output(write):
    """A batched model, sent record by record, all at once, and with a restart after each."""
    from support.service import MODELS

    values = [float(number) for number in range(60)]

    def outputs(send) -> list[float]:
        with Driver(MODELS / "rolling_mean_batched.py") as driver:
            send(driver)
            return [out.value for out in driver.outputs]

    def restarted(driver: Driver) -> None:
        for value in values:
            driver.send(value)
            driver.restart()

    together = outputs(lambda driver: driver.send_all(values))
    assert together
    assert together == outputs(lambda driver: [driver.send(value) for value in values])
    assert together == outputs(restarted)


def test_a_driver_that_is_not_entered_says_so(total):
    driver = Driver(total)
    calls = (lambda: driver.send(1.0), lambda: driver.send_bytes(b""), driver.state, driver.restart)
    for call in calls:
        with pytest.raises(StateError, match="with Driver"):
            call()
    with driver:
        driver.send(1.0)
    for call in calls:
        with pytest.raises(StateError, match="with Driver"):
            call()


def test_an_error_ends_the_service_and_its_records_come_again(total, write):
    """As `stream-scorer run` ends, and begins again where it has committed."""
    mended = write("mended.py", COUNT.replace("x < 0", "x < -1"))
    with Driver(total, on_bad_record="fail", on_state_mismatch="restart") as driver:
        driver.send(1.0)
        with pytest.raises(ActionError, match=r"@2: .*below 0\. Nothing of this batch"):
            driver.send_all([2.0, -1.0, 4.0])
        assert driver.state() == {"total": 1.0}
        with pytest.raises(StateError, match=r"go on by restart\(\)"):
            driver.send(5.0)
        with pytest.raises(ActionError, match=r"@2: .*below 0"):
            driver.restart()
        assert driver.outputs == [Output(0, 1, 1.0)]
        driver.restart(mended)
        assert driver.outputs[1:] == [Output(1, 1, 2.0), Output(2, 1, 1.0), Output(3, 1, 5.0)]
        assert driver.send(1.0) == [Output(4, 1, 6.0)]
        driver.restart()
        assert len(driver.outputs) == 5


def test_an_interrupt_ends_the_service_too(write, monkeypatch):
    """What it had scored of the batch is not counted twice."""
    stop = "if x == 7 and builtins.stops.pop():\n            raise KeyboardInterrupt\n        if x < 0:"
    path = write("stop.py", COUNT.replace("total = 0.0", "import builtins\n    total = 0.0").replace("if x < 0:", stop))
    monkeypatch.setattr("builtins.stops", [False, True], raising=False)
    with Driver(path) as driver:
        driver.send(1.0)
        with pytest.raises(KeyboardInterrupt):
            driver.send_all([2.0, 7.0])
        assert driver.state() == {"total": 1.0}
        driver.restart()
        assert [out.value for out in driver.outputs] == [1.0, 3.0, 10.0]


def test_a_model_that_cannot_begin_may_be_followed_by_one_that_can(total, write):
    broken = write("broken.py", "def begin():\n raise ValueError('no')\ndef action(x):\n yield x\n")
    with Driver(total) as driver:
        driver.send(1.0)
        with pytest.raises(ModelError, match="no"):
            driver.restart(broken)
        for call in (driver.state, lambda: driver.send(1.0)):
            with pytest.raises(StateError, match=r"broken.py could not begin: restart\(MODEL\)"):
                call()
        driver.restart(total)
        assert driver.send(1.0)[0].value == 2.0


@pytest.mark.parametrize("session", ["partition", "all"])
def test_one_session_of_all_keys_is_that_of_each(total, session):
    with Driver(total, session=session) as driver:
        driver.send(1.0, key="a")
        assert driver.state("a") == driver.state() == {"total": 1.0}


def test_what_is_no_value_or_time_is_refused_and_nothing_is_sent(total, write):
    with Driver(total) as driver:
        for timestamp in ("now", 1.5, True):
            with pytest.raises(TypeError, match="ms since 1970"):
                driver.send(1.0, timestamp=timestamp)
        with pytest.raises(TypeError, match=r"give \[value\]"):
            driver.send_all("ab")
        assert driver.send(1.0) == [Output(0, 1, 1.0)]
        with pytest.raises(EncodeError, match=r"^expected double"):
            driver.send("x")


def test_a_restart_finds_its_files_though_the_process_has_moved_on(total, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "files.tar.gz", "w:gz"):
        pass
    monkeypatch.chdir(tmp_path)
    with Driver(total.name, attachment="files.tar.gz") as driver:
        driver.send(1.0)
        monkeypatch.chdir("/")
        driver.restart()
        assert driver.send(1.0)[0].value == 2.0


NOT_KEPT = {
    "a state that is deleted": "n = 1\ndef action(x):\n    global n\n    n = 2\n    del n\n    yield x",
    "500 lists": "n = 1\ndef action(x):\n    global n\n    for _ in range(500): n = [n]\n    yield x",
    "a frozenset of 500": "n = 1\ndef action(x):\n    global n\n    for _ in range(500): n = frozenset([n])\n    yield x",
    "a time whose zone raises": "import datetime\nclass Z(datetime.tzinfo):\n    def utcoffset(self, t): raise OSError\n"
    "n = 1\ndef action(x):\n    global n\n    n = datetime.datetime(2020, 1, 1, tzinfo=Z())\n    yield x",
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_a_state_that_cannot_be_kept_is_named(case, write):
    with (
        Driver(write("toy.py", NOT_KEPT[case])) as driver,
        pytest.raises(ModelError, match="global 'n' is part of the model's"),
    ):
        driver.send_all([1.0, 2.0])


def test_code_that_is_nested_too_deep_to_be_read_is_told(write):
    source = f"n = 0\ndef action(x):\n    global n\n    n = {'+'.join(['1'] * 2500)}\n    yield x"
    for named in ("", "# stream-scorer.state: n\n"):
        with pytest.raises(ModelError, match="nested too deep to be"), Driver(write("toy.py", named + source)):
            pass


def test_a_state_of_huge_ints_goes_over_a_restart(write):
    source = "n = frozenset()\ndef action(x):\n    global n\n    n |= {10**5000 + len(n)}\n    yield len(n)"
    with Driver(write("toy.py", source)) as driver:
        driver.send(1.0, key="a")
        driver.restart()
        assert driver.send(1.0, key="a")[0].value == 2
        assert driver.state("a") == {"n": {10**5000, 10**5000 + 1}}
