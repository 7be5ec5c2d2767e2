"""Models in the caller's process: `open_model` and `score`."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream_scorer import (
    ActionError,
    EncodeError,
    Model,
    ModelError,
    Output,
    Rejected,
    SchemaError,
    StateError,
    open_model,
    score,
)

MEAN = """
    # fastscore.schema.0: double
    # fastscore.schema.1: double
    def begin():
        global window
        window = []
    def action(x):
        global window
        window = [*window, x][-2:]
        if x < 0:
            raise ValueError("below 0")
        if len(window) == 2:
            yield sum(window) / 2
"""


@pytest.fixture
def mean(write) -> Path:
    return write("mean.py", MEAN)


def test_outputs_come_in_order_with_the_offset_and_key_of_their_value(mean):
    with open_model(mean) as model:
        assert model.score([1.0, 3.0, 4.0], "a") == [Output(1, 1, 2.0, "a"), Output(2, 1, 3.5, "a")]


def test_state_is_kept_by_key_between_calls(mean):
    with open_model(mean) as model:
        model.score([1.0, 2.0], "a")
        model.score([5.0], b"b")
        assert [out.value for out in model.score([4.0], "a")] == [3.0]
        assert model.state("a") == {"window": [2.0, 4.0]}
        assert model.state("b") == {"window": [5.0]}
        assert model.state("new") == {"window": []}
        assert model.state() == {"window": []}


def test_the_state_that_is_shown_is_a_copy(mean):
    with open_model(mean) as model:
        model.score([1.0])
        model.state()["window"].append(9.0)
        model.state("new")["window"].append(9.0)
        assert model.state() == {"window": [1.0]}
        assert model.state("new") == {"window": []}


def test_a_function_tells_the_key_of_each_value(write):
    path = write("last.py", "last = None\ndef action(x):\n global last\n yield last\n last = x['v']\n")
    with open_model(path) as model:
        rows = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}]
        assert [(out.value, out.key) for out in model.score(rows, lambda row: row["k"])] == [
            (None, "a"),
            (None, "b"),
            (1, "a"),
        ]


def test_a_value_that_cannot_be_scored_raises_and_nothing_of_the_call_has_happened(mean):
    with open_model(mean) as model:
        model.score([1.0], "a")
        with pytest.raises(ActionError, match=r"value 1 \(key 'a'\): .*mean.py:11: .*below 0") as failed:
            model.score([2.0, -1.0, 7.0], "a")
        assert "raise ValueError" in failed.value.__notes__[0]
        assert model.state("a") == {"window": [1.0]}
        assert [out.value for out in model.score([2.0], "a")] == [1.5]


def test_rejects_are_returned_in_their_place_if_asked_for(mean):
    with open_model(mean) as model:
        first, reject, last = model.score([2.0, 4.0, -1.0, 6.0], "a", on_reject="return")
        assert (first, last) == (Output(1, 1, 3.0, "a"), Output(3, 1, 5.0, "a"))
        assert isinstance(reject, Rejected)
        assert (reject.offset, reject.stage, reject.error, reject.key) == (2, "action", "ValueError", "a")


def test_a_value_that_does_not_fit_the_schema_is_a_reject_of_the_schema(mean):
    with open_model(mean) as model:
        (reject,) = model.score(["x"], on_reject="return")
        assert isinstance(reject, Rejected)
        assert reject.stage == "schema"
        with pytest.raises(SchemaError, match=r"value 0: .*double"):
            model.score(["x"])
        assert model.state() == {"window": []}


def test_an_output_that_does_not_fit_is_a_reject_of_the_encoding(write):
    path = write("text.py", "# fastscore.schema.1: double\ndef action(x):\n yield 'text'\n")
    with open_model(path) as model, pytest.raises(EncodeError, match="double"):
        model.score([1])


def test_the_model_gets_what_avro_holds(write):
    path = write(
        "kind.py",
        "# fastscore.schema.0: double\n# fastscore.schema.1: string\ndef action(x):\n yield f'{type(x).__name__} {x}'\n",
    )
    with open_model(path) as model:
        assert [out.value for out in model.score([1, math.nan, 2.5])] == ["float 1.0", "float nan", "float 2.5"]


def test_it_tells_name_hash_and_schemas(write, mean):
    write("row.avsc", '{"type": "record", "name": "row", "fields": [{"name": "x", "type": "double"}]}')
    path = write("rows.py", "# fastscore.schema.0: row\n# fastscore.slot.3: in-use\ndef action(r):\n yield r['x']\n")
    with open_model(path) as model:
        assert model.name == "rows"
        assert len(model.sha256) == 64
        assert model.inputs[0]["fields"] == [{"name": "x", "type": "double"}]
        assert model.outputs == {1: None, 3: None}


def test_the_process_stays_in_its_working_directory(write, tmp_path, monkeypatch):
    """The model is in its own; two models are open at once, and are closed in any order."""
    write("folder.py", "import os\ndef begin():\n open('made', 'w').close()\ndef action(x):\n yield os.listdir('.')\n")
    monkeypatch.chdir(tmp_path)
    home = Path.cwd()
    first, second = open_model("folder.py"), open_model("folder.py")
    one, two = first.__enter__(), second.__enter__()
    assert Path.cwd() == home
    assert [out.value for out in one.score([1])] == [["made"]]
    assert Path.cwd() == home
    (tmp_path / "elsewhere").mkdir()
    os.chdir("elsewhere")
    first.__exit__(None, None, None)
    assert Path.cwd() == home / "elsewhere"
    assert [out.value for out in two.score([1])] == [["made"]]
    second.__exit__(None, None, None)
    assert Path.cwd() == home / "elsewhere"


def test_end_is_called_once_and_its_outputs_are_given_to_who_asks(write):
    path = write(
        "total.py",
        "# fastscore.schema.1: long\ntotal = 0\ndef action(x):\n global total\n total += x\ndef end():\n yield total\n",
    )
    with open_model(path) as model:
        model.score([1, 2])
        assert model.end() == [Output(-1, 1, 3)]
        assert model.end() == []
    assert list(score(path, [1, 2, 3])) == [Output(-1, 1, 6)]


def test_score_goes_through_values_of_any_number_as_they_are_asked_for(mean):
    def endless():
        value = 0.0
        while True:
            yield value
            value += 1

    outputs = score(mean, endless(), batch=3)
    assert [next(outputs) for _ in range(4)] == [
        Output(1, 1, 0.5), Output(2, 1, 1.5), Output(3, 1, 2.5), Output(4, 1, 3.5)
    ]  # fmt: skip
    outputs.close()


def test_score_takes_an_open_model_and_leaves_it_open(mean):
    with open_model(mean) as model:
        assert [out.value for out in score(model, [1.0, 3.0])] == [2.0]
        assert [out.value for out in score(model, [5.0, -1.0], on_reject="return") if isinstance(out, Output)] == [4.0]
        assert model.state() == {"window": [3.0, 5.0]}


def test_what_cannot_be_opened_raises_model_error(write):
    with pytest.raises(ModelError, match="no such file"), open_model("nowhere.py"):
        pass
    path = write("file.py", "f = None\ndef begin():\n global f\n f = object()\ndef action(x):\n global f\n f = f\n")
    with pytest.raises(ModelError, match="cannot be saved"), open_model(path):
        pass


def test_a_key_is_a_text_or_bytes(mean):
    with open_model(mean) as model, pytest.raises(TypeError, match="not int: 3"):
        model.score([1.0], 3)  # type: ignore[call-overload]


@pytest.mark.parametrize("call", [Model.score, score], ids=["Model.score", "score"])
def test_what_is_no_list_of_values_is_refused(write, call):
    """One text, record or table would be scored item by item."""
    path = write("echo.py", "def action(x):\n yield x\n")
    with open_model(path) as model:
        for values in ("abc", b"abc", {"price": 1.0}):
            with pytest.raises(TypeError, match=r"give \[value\]"):
                call(model, values)
        with pytest.raises(TypeError, match="score_table"):
            call(model, SimpleNamespace(columns=[]))
        with pytest.raises(ValueError, match="on_reject is 'raise' or 'return', not 'skip'"):
            call(model, [1], on_reject="skip")


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_values_is_refused(mean, batch):
    with pytest.raises(ValueError, match=f"from 1 on, not {batch}"):
        score(mean, [1.0], batch=batch)


def test_a_closed_model_says_so(mean):
    with open_model(mean) as model:
        model.score([1.0])
    for call in (lambda: model.score([1.0]), model.end, lambda: list(score(model, [1.0]))):
        with pytest.raises(StateError, match="model mean is closed"):
            call()


def test_values_may_be_made_with_the_model_itself(mean):
    def values(model):
        yield 1.0
        model.score([5.0, 5.0, 5.0], "b")
        yield 3.0

    with open_model(mean) as model:
        assert model.score(values(model), "a") == [Output(1, 1, 2.0, "a")]
        assert model.state("b") == {"window": [5.0, 5.0]}


def test_an_output_of_the_end_that_does_not_fit_is_an_error_of_the_encoding(write):
    path = write("end.py", "# fastscore.schema.1: double\ndef action(x):\n yield 1.0\ndef end():\n yield 'x'\n")
    with open_model(path) as model, pytest.raises(EncodeError, match=r"end.py: end\(\): output: expected double"):
        model.end()


def test_an_input_that_json_lacks_is_not_called_an_output(write):
    path = write("echo.py", "def action(x):\n yield x\n")
    with open_model(path) as model, pytest.raises(SchemaError) as failed:
        model.score([{1, 2}])
    assert str(failed.value).startswith("value 0: cannot be written as JSON: JSON has no set: give the slot a schema")
    assert "output" not in str(failed.value)
    assert "yield" not in str(failed.value)


def test_score_finds_the_model_though_the_process_has_moved_on(write, tmp_path, monkeypatch):
    write("dir/text.avsc", '"string"')
    write("dir/late.py", "# fastscore.schema.0: words\ndef action(x):\n yield x\n")
    monkeypatch.chdir(tmp_path / "dir")
    outputs = score("late.py", ["a"], schemas={"words": "text.avsc"})
    os.chdir("..")
    assert [out.value for out in outputs] == ["a"]


def test_models_of_several_threads_are_each_in_their_own_directory(write, tmp_path, monkeypatch):
    write(
        "mine.py",
        """
        import os, time
        def begin():
            open("mine", "w").close()
        count = 0
        def action(x):
            global count
            count += 1
            for _ in range(3):
                assert os.path.exists("mine"), os.getcwd()
                time.sleep(0)
            yield count
        """,
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path_before = list(sys.path)

    def work(shared: Model, thread: int) -> list[int]:
        counts = []
        for _ in range(4):
            with open_model("mine.py") as own:
                for number in range(5):
                    assert own.score([0])[0].value == number + 1
                    counts += [out.value for out in shared.score([0], str(thread))]
        return counts

    with open_model("mine.py") as shared, ThreadPoolExecutor(4) as pool:
        for counts in pool.map(work, [shared] * 4, range(4)):
            assert counts == list(range(1, 21))
    assert Path.cwd() == tmp_path
    assert sys.path == path_before
    assert not list(tmp_path.glob("stream-scorer-*"))


def test_a_state_is_that_between_two_batches(write, monkeypatch):
    """Another thread that asks for it waits for the end of the batch."""
    started, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr("builtins.last_value", lambda: (started.set(), go_on.wait(30)), raising=False)
    path = write(
        "sum.py",
        """
        import builtins
        total = 0
        def action(x):
            global total
            total += x
            if x == 2:
                builtins.last_value()
        """,
    )
    with open_model(path) as model, ThreadPoolExecutor(2) as pool:
        scored = pool.submit(model.score, [1, 2])
        assert started.wait(30)
        state = pool.submit(model.state)
        assert not wait([state], timeout=0.05).done
        go_on.set()
        assert scored.result(30) == []
        assert state.result(30) == {"total": 3}


def test_nothing_is_left_behind_where_the_directory_is_gone(mean, tmp_path, monkeypatch):
    """As after a test that has removed its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path_before, gone = list(sys.path), tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    with open_model(mean) as model:
        os.chdir(tmp_path)
        gone.rmdir()
        assert [out.value for out in model.score([1.0, 3.0])] == [2.0]
    assert Path.cwd() == tmp_path
    assert sys.path == path_before
    assert not list(tmp_path.glob("stream-scorer-*"))


def test_a_process_may_be_where_no_directory_is(mean, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path_before, gone = list(sys.path), tmp_path / "gone"
    monkeypatch.chdir(tmp_path)
    with open_model(mean) as model:
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        model.state()
    assert Path.cwd() == tmp_path
    assert sys.path == path_before
    assert not list(tmp_path.glob("stream-scorer-*"))
