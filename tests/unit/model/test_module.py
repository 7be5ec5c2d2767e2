"""A module file, loaded: the contract, and what is told when it is broken."""

from __future__ import annotations

import hashlib
import signal
import struct

import pytest

from stream_scorer.errors import ActionError, GiveUp, ModelError
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from tests.support.host import scores

SHAPES = {
    "yields": ("def action(x):\n yield x\n yield x + 1", [(1, 5), (1, 6)]),
    "returns": ("def action(x): return x", [(1, 5)]),
    "returns None": ("def action(x): return None", []),
    "yields nothing": ("def action(x):\n if x < 0: yield x", []),
    "yields None": ("def action(x): yield None", [(1, None)]),
    "returns a list, which is one output": ("def action(x): return [x, x]", [(1, [5, 5])]),
    "returns an iterator": ("def action(x): return iter([x, x])", [(1, 5), (1, 5)]),
    "names the slot": ("def action(x):\n yield (3, x)\n yield 1, -x", [(3, 5), (1, -5)]),
    "a list of two is no slot": ("def action(x): return [3, x]", [(1, [3, 5])]),
    "takes the slot": ("def action(x, slot): return [x, slot]", [(1, [5, 0])]),
    "takes the number too": ("def action(x, slot, seqno): return [x, slot, seqno]", [(1, [5, 0, 1])]),
    "takes defaults of its own": ("def action(x, scale=2): return x * scale", [(1, 10)]),
    "is a lambda": ("action = lambda x: x", [(1, 5)]),
    "has another name": ("# fastscore.action.0: score\ndef score(x): return -x", [(1, -5)]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_an_action(case, load_module):
    source, outputs = SHAPES[case]
    assert scores(load_module(source), 5) == outputs


def test_the_number_of_an_input_counts_from_one(load_module):
    module = load_module("def action(x, slot, seqno): return seqno")
    assert [scores(module, 0)[0][1] for _ in range(3)] == [1, 2, 3]


def test_the_hash_is_of_the_files_bytes(load_module):
    source = b"# \xc3\xa9\r\ndef action(x): return x\r\n"
    assert load_module(source).sha256 == hashlib.sha256(source).hexdigest()


def test_state_goes_in_and_out(load_module):
    module = load_module(
        "def begin():\n global n, k\n n = 0\n k = 9\ndef action(x):\n global n\n n += x\n return n * k"
    )
    assert module.state_names == ("n",)
    scores(module, 2)
    assert module.state() == (2,)
    module.set_state((40,))
    assert scores(module, 1) == [(1, 369)]


def test_two_modules_of_one_file_share_nothing(load_module):
    source = "n = 0\ndef action(x):\n global n\n n += 1\n return n"
    one, two = load_module(source), load_module(source)
    scores(one, 0)
    assert scores(two, 0) == [(1, 1)]


TOY = {"name": "toy", "type": "python3", "attachments": []}


@pytest.mark.parametrize(("arguments", "given"), [("", None), ("d", TOY), ("d=7", 7)])
def test_begin_may_take_the_models_definition(arguments, given, load_module):
    module = load_module(f"def begin({arguments}):\n global s\n s = locals().get('d')\ndef action(x): return [s]")
    assert scores(module, 0) == [(1, [given])]


def test_attachments_are_told_to_begin_by_name(write):
    module = Module(write("toy.py", "def begin(d):\n global k\n k = d\ndef action(x): return [k]"), ["w.tar.gz"])
    module.begin()
    assert scores(module, 0) == [(1, [{**TOY, "attachments": ["w.tar.gz"]}])]


def test_an_output_without_slot_goes_to_the_only_one_in_use(load_module):
    module = load_module("# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\ndef action(x): yield x")
    assert module.default == 3
    assert scores(module, 5) == [(3, 5)]


def test_an_output_is_taken_before_the_model_goes_on(load_module):
    module = load_module("def action(x):\n for k in (1, 2):\n  x['k'] = k\n  yield x")
    seen = []
    module.score({}, lambda slot, datum: seen.append(dict(datum)))
    assert seen == [{"k": 1}, {"k": 2}]


def test_the_number_is_state(load_module):
    module = load_module("n = 0\ndef action(x, slot, seqno):\n global n\n n += x\n return [n, seqno]")
    assert module.state_names == ("n", "sequence number of slot 0")
    scores(module, 2)
    kept = module.state()
    scores(module, 3)
    module.set_state(kept)
    assert scores(module, 4) == [(1, [6, 2])]
    assert "sequence number of slot 0" not in load_module("def action(x, slot): return x").namespace


def test_end_runs_and_what_it_returns_is_read_to_its_end(load_module, caplog):
    module = load_module("""
        log = []
        def items():
            log.append("begun")
            yield 1
            yield 2
            log.append("done")
        def action(x): return log
        def end(): return items()
    """)
    module.end()
    assert module.namespace["log"] == ["begun", "done"]
    assert "toy.py: end() yielded 2 outputs, which were dropped" in caplog.text


def test_begin_and_end_may_be_missing(load_module):
    load_module("def action(x): return x").end()


def test_a_dataclass_of_the_module_works(load_module):
    source = """
    from __future__ import annotations
    import dataclasses
    @dataclasses.dataclass
    class P:
        a: int
    def action(x): return P(x).a
    """
    assert scores(load_module(source, name="toy_with_dataclass"), 3) == [(1, 3)]


BROKEN = {
    "no action": (
        "def predict(x): return x\ndef begin(): pass",
        r"no function action\(\)\. It defines begin, predict\.",
    ),
    "nothing at all": ("x = 1", r"no function action\(\)\. It defines no function\..*fastscore\.action\.0: NAME"),
    "imports are no functions of its own": ("from textwrap import dedent", r"It defines no function"),
    "action is no function": ("action = 3", r"no function action\(\)"),
    "another name, not there": (
        "# fastscore.action.0: go\ndef action(x): pass",
        r"no function go\(\)\. It defines action",
    ),
    "no argument": ("def action(): pass", r"action\(\) takes 0 arguments\. It must take 1 to 3"),
    "four arguments": ("def action(a, b, c, d): pass", r"action\(\) takes 4 arguments"),
    "no push": ("# stream-scorer.batch: push, predict\ndef action(x): pass", r"no function push\(\)"),
    "Python 2": (
        "def action(x):\n    print x\n",
        r"toy\.py:2: not Python 3\.\d+: .*A Python 2 module has to be converted",
    ),
    "a body that raises": (
        "x = 1\nimport no_such_package_here",
        r"toy\.py:2: the module body raised ModuleNotFoundError",
    ),
    "a body that exits": ("import sys\nsys.exit(3)\n", r"toy\.py:2: the module body raised SystemExit: 3"),
    "null bytes": (b"def action(x): return '\0'", r"toy\.py:1: not Python 3"),
    "a wrong comment": ("# stream-scorer.window: x\ndef action(x): pass", r"toy\.py:1: stream-scorer\.window"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_module_that_breaks_the_contract_is_told(case, load_module):
    source, message = BROKEN[case]
    with pytest.raises(ModelError, match=message):
        load_module(source)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.py: cannot be read \(No such file"):
        Module(tmp_path / "gone.py")


def test_a_byte_order_mark_is_no_code(load_module):
    assert scores(load_module(b"\xef\xbb\xbfdef action(x): return x"), 1) == [(1, 1)]


def test_a_file_may_declare_its_encoding(load_module):
    assert scores(load_module(b"# -*- coding: latin-1 -*-\ndef action(x): return '\xe9'"), 1) == [(1, "é")]


@pytest.mark.parametrize("action", ["max", "functools.partial(max)"])
def test_an_action_without_a_signature_is_told(action, load_module):
    with pytest.raises(ModelError, match="action"):
        load_module(f"import functools\naction = {action}")


def test_begin_that_misses_its_files_is_told_with_what_its_directory_holds(write):
    path = write("needy.py", "def begin():\n    open('weights.bin')\ndef action(x): pass")
    with sandbox(None):
        module = Module(path)
        with pytest.raises(
            ModelError, match=r"needy\.py:2: begin\(\) raised FileNotFoundError.*directory is empty.*--attachment FILE"
        ):
            module.begin()
    with sandbox(None) as inside:
        (inside / "other.bin").touch()
        with pytest.raises(ModelError, match=r"Its directory holds other\.bin\."):
            module.begin()


RAISES = {
    "an exception": ("raise KeyError('price')", r"toy\.py:3: action\(\) raised KeyError: 'price'"),
    "an exit": ("import sys; sys.exit(3)", r"toy\.py:3: action\(\) raised SystemExit: 3"),
    "deep down": ("import json; json.loads('{')", r"toy\.py:3: action\(\) raised JSONDecodeError"),
    "no memory": ("raise MemoryError", r"action\(\) raised MemoryError"),
}


@pytest.mark.parametrize("case", RAISES)
@pytest.mark.parametrize("form", ["return", "yield"])
def test_what_an_action_raises_is_one_records_fault(case, form, load_module):
    what, message = RAISES[case]
    module = load_module(f"def action(x):\n    if x: {form} x\n    {what}")
    with pytest.raises(ActionError, match=message):
        scores(module, 0)


def test_ctrl_c_in_an_action_is_no_fault_of_the_record(load_module):
    module = load_module("def action(x): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        scores(module, 0)


def test_a_state_comment_wins_over_what_the_code_shows(load_module):
    source = "# stream-scorer.state: kept\nkept = 1\nn = 0\ndef action(x):\n global n\n n += 1"
    assert load_module(source).state_names == ("kept",)


def test_an_empty_state_comment_means_no_state(load_module):
    assert (
        load_module("# stream-scorer.state:\ncalls = 0\ndef action(x):\n global calls\n calls += 1").state_names == ()
    )


def test_a_state_comment_that_names_nothing_is_told(load_module):
    with pytest.raises(ModelError, match=r"'# stream-scorer\.state:' names gone, which the module does not set"):
        load_module("# stream-scorer.state: gone\ndef action(x): pass")


def test_a_state_name_of_the_code_that_was_never_set_is_left_out(load_module):
    assert load_module("def action(x):\n global later\n later = x").state_names == ()


BATCH = """
# stream-scorer.batch: push, predict
import numpy as np
window = []
def push(x):
    global window
    window = [*window, x][-2:]
    return window if len(window) == 2 else None
def predict(inputs):
    return PREDICT
def action(x):
    return None
"""


def _batched(load_module, predict):
    return load_module(BATCH.replace("PREDICT", predict))


def test_push_and_predict(load_module):
    module = _batched(load_module, "inputs.sum(axis=1, keepdims=True)")
    assert module.batched
    assert module.state_names == ("window",)
    windows = [module.push(x) for x in (1.0, 2.0, 4.0)]
    assert windows == [None, _window(1.0, 2.0), _window(2.0, 4.0)]
    assert module.predict(windows[1:]) == [3.0, 6.0]


def _window(*values):
    return struct.pack(f"{len(values)}d", *values)


def test_a_window_is_taken_as_it_is_when_it_is_given(load_module):
    """The module may go on changing it."""
    source = BATCH.replace("PREDICT", "inputs").replace("window = [*window, x][-2:]", "window.append(x)")
    module = load_module(source)
    module.push(1.0)
    window = module.push(2)
    module.push(3.0)
    assert window == _window(1.0, 2.0)


@pytest.mark.parametrize("given", ["np.array(window)", "tuple(window)", "np.array(window, dtype='f4')"])
def test_a_window_may_be_any_row_of_numbers(given, load_module):
    module = load_module(BATCH.replace("return window if", f"return {given} if").replace("PREDICT", "inputs[:, :1]"))
    module.push(1.0)
    assert module.push(2.5) == _window(1.0, 2.5)


@pytest.mark.parametrize("given", ["[window]", "['x', 'y']", "7"])
def test_anything_else_is_an_action_error(given, load_module):
    module = load_module(BATCH.replace("return window if", f"return {given} if").replace("PREDICT", "inputs"))
    module.push(1.0)
    with pytest.raises(ActionError, match=r"push\(\) raised"):
        module.push(2.5)


def test_windows_of_different_lengths_are_an_action_error(load_module):
    with pytest.raises(ActionError, match="windows of different lengths"):
        _batched(load_module, "inputs[:, :1]").predict([_window(1.0), _window(1.0, 2.0, 3.0)])


@pytest.mark.parametrize("predict", ["1 / 0", "None", "np.zeros(3)"])
def test_predict_that_fails_is_an_action_error(predict, load_module):
    with pytest.raises(ActionError, match=r"predict\(\) raised"):
        _batched(load_module, predict).predict([_window(1.0, 2.0)])


def test_predict_that_gives_another_number_of_scores_is_an_action_error(load_module):
    with pytest.raises(ActionError, match="predict"):
        _batched(load_module, "np.zeros((1, 1, 1))").predict([_window(1.0, 2.0), _window(2.0, 3.0)])


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("recordsets.0: true", "'# fastscore.recordsets' asks for record sets on slot 0; here a model is given"),
        ("action: unused", "makes it a model that reads its slots itself; .* Run it by `stream-scorer engine`"),
        ("action.2: action", "its inputs are the slots 0, 2; here"),
        ("slot.0: unused", r"its inputs are the slots \(none\); here"),
    ],
)
def test_what_a_topic_cannot_give_is_refused(comment, message, load_module):
    with pytest.raises(ModelError, match=message):
        load_module(f"# fastscore.{comment}\ndef action(x): return x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def action(x): pass\ndef end(): yield 99",
            r"its end\(\) yields outputs: a topic has no end, and each restart",
        ),
        ("def action(x): pass\ndef items(): yield 99\nend = items", r"its end\(\) yields outputs"),
        ("import functools\ndef action(x): pass\ndef items(a): yield a\nend = functools.partial(items, 1)", r"end\(\)"),
        ("# stream-scorer.window: 3\ndef action(x, slot, seqno): pass", "takes the sequence number, .* last 3 inputs"),
        ("import json, fastscore\ndef action(x): pass", "it imports fastscore"),
        ("def action(x):\n    from fastscore.io import Slot", "it imports fastscore"),
    ],
)
def test_what_a_topic_cannot_do_is_refused(source, message, load_module):
    with pytest.raises(ModelError, match=message):
        load_module(source)


def test_outputs_are_without_pandas(load_module):
    module = load_module(
        "import pandas as pd\ndef action(x):\n yield pd.NA\n yield {'a': pd.Series([x])}\n yield 1, pd.DataFrame({'d': [x]})"
    )
    assert scores(module, 5) == [(1, None), (1, {"a": [5]}), (1, [{"d": 5}])]


def test_a_text_that_speaks_of_an_import_is_none(load_module):
    assert scores(load_module('"""\nimport fastscore\n"""\ndef action(x): return x'), 1) == [(1, 1)]


def test_roles_of_2_x_stand_in_for_the_classic_names(load_module):
    source = (
        "# modelop.init\ndef start():\n global n\n n = 0\n# modelop.score\ndef score(x):\n global n\n n += x\n return n"
    )
    module = load_module(source)
    assert module.state_names == ("n",)
    assert scores(module, 3) == [(1, 3)]


@pytest.mark.parametrize("action", ["real", "functools.partial(real, by=2)"])
def test_state_is_found_behind_another_name(action, load_module):
    source = f"import functools\nn = 0\ndef real(x, by=1):\n global n\n n += by\n return n\naction = {action}"
    module = load_module(source)
    module.begin()
    assert module.state_names == ("n",)
    assert scores(module, 0) in ([(1, 1)], [(1, 2)])


ANY = {
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "import asyncio; raise asyncio.CancelledError('gone')",
    "Odd": "raise Odd",
    "Mute": "raise Mute",
    "RecursionError": "return action(x)",
}
CLASSES = """
class Odd(BaseException): pass
class Mute(Exception):
    def __str__(self): raise Odd
    __repr__ = __str__
"""


@pytest.fixture
def handled():
    """As under `run`: Ctrl-C has a handler there."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("case", ANY)
@pytest.mark.parametrize("form", ["return", "yield"])
def test_whatever_is_raised_is_one_records_fault(case, form, load_module, handled):
    what = ANY[case] if (form, case) != ("yield", "RecursionError") else "yield from action(x)"
    module = load_module(f"{CLASSES}\ndef action(x):\n    if x: {form} x\n    {what}")
    with pytest.raises(ActionError, match=rf"toy\.py:\d+: action\(\) raised {case}"):
        scores(module, 0)


def test_a_generator_that_fails_at_its_end_is_one_records_fault(load_module, handled):
    module = load_module("def action(x):\n try:\n  yield x\n finally:\n  raise GeneratorExit")
    with pytest.raises(ActionError, match="GeneratorExit"):
        scores(module, 0)


@pytest.mark.parametrize("where", ["push", "predict"])
def test_whatever_push_and_predict_raise_is_one_records_fault(where, load_module, handled):
    code = "# stream-scorer.batch: push, predict\ndef action(x): pass\n"
    code += "def push(x): return [x]\ndef predict(inputs): return inputs\n" + f"def {where}(x): raise KeyboardInterrupt"
    module = load_module(code)
    with pytest.raises(ActionError, match=rf"{where}\(\) raised KeyboardInterrupt"):
        getattr(module, where)({"push": 1.0, "predict": [bytes(8)]}[where])


def test_what_begin_raises_is_the_models_error(load_module, handled):
    with pytest.raises(ModelError, match=r"begin\(\) raised Mute: \(no text: its str\(\) raised Odd\)"):
        load_module(f"{CLASSES}\ndef begin(): raise Mute\ndef action(x): pass")


def test_a_signal_to_give_up_passes_through_a_model(load_module, handled):
    module = load_module("from stream_scorer.errors import GiveUp\ndef action(x): raise GiveUp")
    with pytest.raises(GiveUp):
        scores(module, 0)


def test_a_text_of_a_hundred_megabytes_is_cut(load_module):
    module = load_module("def action(x): raise ValueError('x' * 100_000_000)")
    with pytest.raises(ActionError) as raised:
        scores(module, 0)
    assert len(str(raised.value)) < 9_000
    assert str(raised.value).endswith("... (100,000,000 characters)")
