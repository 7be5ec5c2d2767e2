"""The ModelOp contract, call by call. Rules `b.*` of docs/conformance.md."""

from __future__ import annotations

import json
import re

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process.explicit_slots import Slots, slot_class
from stream_scorer.modelop.process.fastscore import importable
from stream_scorer.modelop.process.results import CallResult, ModelFailed
from stream_scorer.modelop.process.shared import SharedState
from tests.unit.modelop.process.conftest import SET, batch, told

GIVES = {
    "yields": ("def action(x):\n yield x\n yield x + 1", [(1, 5), (1, 6)]),
    "returns": ("def action(x): return x", [(1, 5)]),
    "returns None": ("def action(x): return None", []),
    "yields nothing": ("def action(x):\n if x < 0: yield x", []),
    "yields None, which is null": ("def action(x): yield None", [(1, None)]),
    "returns a list, which is one output": ("def action(x): return [x, x]", [(1, [5, 5])]),
    "returns an iterator": ("def action(x): return iter([x, x])", [(1, 5), (1, 5)]),
    "names the slot": ("# fastscore.slot.3: in-use\ndef action(x):\n yield (3, x)\n yield 1, -x", [(3, 5), (1, -5)]),
    "names it by NumPy": ("import numpy as np\ndef action(x): yield np.int64(1), x", [(1, 5)]),
    "a list of two is no slot": ("def action(x): return [3, x]", [(1, [3, 5])]),
    "a tuple of three is an array": ("def action(x): yield 1, 2, 3", [(1, [1, 2, 3])]),
    "a tuple of texts is an array": ("def action(x): yield 'a', 'b'", [(1, ["a", "b"])]),
    "takes the slot": ("def action(x, slot): return [x, slot]", [(1, [5, 0])]),
    "takes the number too": ("def action(x, slot, seqno): return [x, slot, seqno]", [(1, [5, 0, 1])]),
    "the only output in use is another": (
        "# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\ndef action(x): yield x",
        [(3, 5)],
    ),
    "NumPy's numbers": ("import numpy as np\ndef action(x): yield np.float64(x) / 2", [(1, 2.5)]),
    "NumPy's arrays, deep down": (
        "import numpy as np\ndef action(x): yield {'a': np.arange(2), 'b': [np.int8(x)], 'c': np.bool_(True)}",
        [(1, {"a": [0, 1], "b": [5], "c": True})],
    ),
    "pandas' values": (
        "import pandas as pd\ndef action(x): yield {'a': pd.NA, 'b': pd.Series([x, 1]), 'c': pd.DataFrame({'d': [x]})}",
        [(1, {"a": None, "b": [5, 1], "c": [{"d": 5}]})],
    ),
    "a row of a frame": (
        "import pandas as pd\ndef action(x):\n for _, row in pd.DataFrame({'d': [x], 'e': ['s']}).iterrows(): yield dict(row)",
        [(1, {"d": 5, "e": "s"})],
    ),
    "has another name": ("# fastscore.action.0: score\ndef score(x): return -x", [(1, -5)]),
    "a 2.x role": ("# modelop.score\ndef score(x): return -x", [(1, -5)]),
    "a 2.x role does not go before the classic name": (
        "# modelop.score\ndef score(x): return -x\ndef action(x): return x",
        [(1, 5)],
    ),
    "reads what begin has set": ("def begin():\n global k\n k = 3\ndef action(x): return x * k", [(1, 15)]),
    "begin takes the model's definition": ("def begin(d):\n global k\n k = d\ndef action(x): return [k]", [(1, [{}])]),
    "a 2.x init": ("# modelop.init\ndef init():\n global k\n k = 3\ndef action(x): return x * k", [(1, 15)]),
}


@pytest.mark.parametrize("case", GIVES)
def test_an_action_gives(case, run):
    source, outputs = GIVES[case]
    assert told(run(source).feed(batch(5))) == outputs


def test_each_slot_has_its_callback_and_its_own_numbers(run):
    runner = run("""
        # fastscore.action.0: left
        # fastscore.action.2: right
        # fastscore.slot.3: in-use
        def left(x, slot, seqno): yield [x, slot, seqno]
        def right(x, slot, seqno): yield 3, [x, slot, seqno]
    """)
    assert told(runner.feed(batch("a", first=4))) == [(1, ["a", 0, 4])]
    assert told(runner.feed(batch("b", "c", slot=2, first=9))) == [(3, ["b", 2, 9]), (3, ["c", 2, 10])]


def test_a_slot_in_use_without_a_callback_of_its_own_has_action(run):
    runner = run("# fastscore.schema.2: int\ndef action(x, slot): yield slot")
    assert told(runner.feed(batch(1, slot=2))) == [(1, 2)]


def test_rejected_records_are_counted_and_take_no_number(run):
    runner = run("def action(x, slot, seqno): yield [x, seqno]", schemas={0: "int"})
    result = runner.feed(batch(1, b"{", 2.5, b"[1", 2))
    assert [value for _, value in told(result)] == [[1, 1], [2, 2]]
    assert (result.rejected_by_encoding, result.rejected_by_schema) == ({0: 2}, {0: 1})
    assert result.output_count == {1: 2}


def test_outputs_that_do_not_fit_are_counted_and_the_model_goes_on(run):
    runner = run("def action(x):\n yield 'no'\n yield {1, 2}\n yield x\n yield None", schemas={1: "int"})
    result = runner.feed(batch(7))
    assert told(result) == [(1, 7)]
    assert (result.rejected_by_encoding, result.rejected_by_schema) == ({}, {1: 3})
    assert run("def action(x): yield {1, 2}").feed(batch(7)).rejected_by_encoding == {1: 1}


def test_rejected_records_are_kept_as_text_a_few_of_each_slot_and_reason(run):
    runner = run("def action(x):\n yield x\n yield {1: x}\n yield 'no'", schemas={0: "int", 1: "int"})
    wrong = [b'"%d%s"' % (at, b"x" * 5000 * (at == 3)) for at in range(50)]
    result = runner.feed(batch(b"{", b"\xff", *wrong, 7))
    assert [value for _, value in told(result)] == [7]
    assert result.shown("encoding", 0) == ["{", "\N{REPLACEMENT CHARACTER}"]
    kept = result.shown("schema", 0)
    assert len(kept) == 20
    assert kept[:3] == ['"0"', '"1"', '"2"']
    assert len(kept[3]) == 3200
    assert result.shown("schema", 1) == ['{"1": 7}', '"no"']
    assert CallResult.from_json(json.loads(json.dumps(result.to_json())), result.outputs) == result
    assert runner.feed(batch(8)).shown("schema", 0) == []


def test_an_output_that_cannot_even_be_shown_is_rejected_all_the_same(run):
    runner = run("""
        class Odd:
            def __repr__(self):
                raise OSError("no")
        def action(x):
            yield Odd()
            yield {1, 2}
            yield x
    """)
    result = runner.feed(batch(1))
    assert told(result) == [(1, 1)]
    assert result.shown("encoding", 1) == ["a Odd that cannot be shown (OSError)", "{1, 2}"]


FAILS = {
    "an exception": ("raise KeyError('price')", r"toy\.py.*line 4.*KeyError: 'price'"),
    "an exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "an exit without fault is one too": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "a slot that is not in use": ("yield 5, x", r"wrote to slot 5, which is not in use \(outputs in use: 1\)"),
    "an input slot": ("yield 0, x", "wrote to slot 0, which is no output"),
}


@pytest.mark.parametrize("case", FAILS)
def test_a_failure_tells_the_input_and_where(case, run):
    what, message = FAILS[case]
    runner = run(f"def action(x, slot, seqno):\n    yield x\n    if x == 2:\n        {what}")
    result = runner.feed(batch(1, 2, 3, first=7))
    assert [record for _, record in result.outputs] == [b"1", b"2"], "what came before stands"
    assert result.failure.where == "action()"
    assert result.failure.input == {"slot": 0, "seqno": 8, "data": ["2"], "batch_len": 3, "encoding": "json"}
    text = result.failure.traceback.replace("\n", " ")
    assert re.search(message, text), text
    assert "process/runner" not in text


def test_a_body_that_raises_is_told(run):
    with pytest.raises(
        ModelFailed, match=r"toy\.py:2: the module body raised ZeroDivisionError: division by zero"
    ) as got:
        run("x = 1\nx / 0\ndef action(x): pass")
    assert got.value.failure.traceback.startswith("Traceback")


def test_a_begin_that_raises_is_told(run):
    with pytest.raises(ModelFailed, match=r"toy\.py:1: begin\(\) raised OSError: no"):
        run("def begin(): raise OSError('no')\ndef action(x): pass")


def test_a_missing_callback_is_told(run):
    with pytest.raises(ModelError, match=r"no function left\(\)\. It defines action"):
        run("# fastscore.action.0: left\ndef action(x): pass")


def test_end_may_give_outputs(run):
    runner = run("n = 0\ndef action(x):\n global n\n n += x\ndef end(): yield n")
    assert told(runner.feed(batch(2, 3))) == []
    assert told(runner.end()) == [(1, 5)]
    assert told(run("def action(x): pass\ndef end(): return True").end()) == []
    assert run("def action(x): pass\ndef end(): 1 / 0").end().failure.where == "end()"


def test_an_explicit_model_reads_and_writes(run):
    runner = run("""
        # fastscore.action: unused
        # fastscore.slot.2: in-use
        # fastscore.slot.3: in-use
        from fastscore.io import Slot
        total = 0
        for frame in Slot(0):
            total += int(frame["x"].sum())
            Slot(1).write({"total": total})
        first, seqno = Slot(2).read(format="pandas.standard", with_seqno=True)
        Slot(3).write([float(first.iloc[0]), seqno])
    """)
    batches = {
        0: [batch({"x": 1}, {"x": 2}), batch(b"{"), batch({"x": 4}, first=3)],
        2: [batch(2.5, 3, first=6, slot=2)],
    }
    assert _explicit(runner, batches) == [(1, {"total": 3}), (1, {"total": 7}), (3, [2.5, 6])]


def _explicit(runner, batches):
    out = []
    slots = Slots(
        runner,
        lambda slot: batches[slot].pop(0) if batches.get(slot) else None,
        lambda result: out.extend(result.outputs),
    )
    with importable(SharedState(), slot_class(slots)):
        result = runner.run(slots.last_input)
    assert result.failure is None, result.failure.traceback
    return [(slot, json.loads(record)) for slot, record in out + result.outputs]


EXPLICIT = "# fastscore.action: none\nfrom fastscore.io import Slot\n"
WRITES = {
    "a record": ("Slot(1).write({'a': 1})", None, [{"a": 1}]),
    "an array is one record where nothing says otherwise": (
        "import numpy as np\nSlot(1).write(np.array([1, 2]))", None, [[1, 2]],
    ),
    "an array is many records where the schema wants single ones": (
        "import numpy as np\nSlot(1).write(np.array([1.0, 2]))", "double", [1.0, 2.0],
    ),
    "a frame with record sets": (
        "# fastscore.recordsets.1: true\nimport pandas as pd\nSlot(1).write(pd.DataFrame({'a': [1, 2]}))",
        None,
        [{"a": 1}, {"a": 2}, {"$fastscore": "set"}],
    ),
    "leaves in order": ("import sys\nSlot(1).write(1)\nsys.exit(0)", None, [1]),
    "returns with input left": ("frame = Slot(0).read()\nSlot(1).write(len(frame))", None, [2]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRITES)
def test_what_an_explicit_model_writes(case, run):
    source, schema, outputs = WRITES[case]
    runner = run(EXPLICIT + source, schemas={1: schema} if schema else None)
    batches = {0: [batch(1, 2), batch(3, first=3)]}
    assert [value for _, value in _explicit(runner, batches)] == outputs


def test_an_empty_set_is_read_and_an_empty_batch_is_not(run):
    runner = run(EXPLICIT + "Slot(1).write([len(frame) for frame in Slot(0)])")
    assert _explicit(runner, {0: [batch(), batch(end=SET), batch(1)]}) == [(1, [0, 1])]


MISUSED = {
    "a format": ("Slot(0).read(format='csv')", "ValueError: Slot.read.*no format 'csv'"),
    "reads an output": ("Slot(1).read()", "slot 1 is not an input in use. Inputs are 0"),
    "writes an input": ("Slot(0).write(1)", "slot 0, which is no output"),
    "exits with a fault": ("import sys\nsys.exit(2)", "SystemExit: 2"),
}


@pytest.mark.parametrize("case", MISUSED)
def test_an_explicit_model_that_fails_is_told(case, run):
    source, message = MISUSED[case]
    runner = run(EXPLICIT + source)
    with pytest.raises(AssertionError, match=message):
        _explicit(runner, {})


def test_slots_are_not_for_models_with_callbacks(run):
    with pytest.raises(ModelFailed, match="this model has callbacks"):
        run("from fastscore.io import Slot\nSlot(0)\ndef action(x): pass")
