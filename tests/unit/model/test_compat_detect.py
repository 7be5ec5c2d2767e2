"""Which models are given the libraries of their time, and which are left alone. No TensorFlow here."""

from __future__ import annotations

import logging
import sys
from textwrap import dedent

import numpy as np
import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model.compat.detect import KERAS, NUMPY1, STDLIB, TF1, find_reasons
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from support.service import MODELS
from tests.support.host import scores

ASKS = {
    "a name": ("import tensorflow as tf\nx = tf.placeholder(tf.float32)", (TF1, "tensorflow.placeholder", 2)),
    "a name without an alias": ("import tensorflow\ntensorflow.Session()", (TF1, "tensorflow.Session", 2)),
    "imported by name": ("from tensorflow import Session", (TF1, "tensorflow.Session", 1)),
    "inside a function": ("def begin():\n import tensorflow as tf\n tf.Session()", (TF1, "tensorflow.Session", 3)),
    "used above its import": ("def f(): tf.Session()\nimport tensorflow as tf", (TF1, "tensorflow.Session", 1)),
    "in the middle of a chain": (
        "import tensorflow as tf\ntf.train.Saver().restore(1).x",
        (TF1, "tensorflow.train.Saver", 2),
    ),
    "contrib by its path": (
        "import tensorflow.contrib.rnn as rnn\nrnn.BasicLSTMCell(3)",
        (TF1, "tensorflow.contrib.rnn", 1),
    ),
    "contrib from": ("from tensorflow.contrib import rnn", (TF1, "tensorflow.contrib.rnn", 1)),
    "all of contrib": ("from tensorflow.contrib.layers import *", (TF1, "tensorflow.contrib.layers.*", 1)),
    "where cells were": ("from tensorflow.python.ops import rnn_cell", (TF1, "tensorflow.python.ops.rnn_cell", 1)),
    "the switch of the whole process": (
        "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()",
        (TF1, "tensorflow.compat.v1.disable_v2_behavior", 2),
    ),
    "the switch, otherwise": (
        "from tensorflow.compat import v1\nv1.disable_eager_execution()",
        (TF1, "tensorflow.compat.v1.disable_eager_execution", 2),
    ),
    "NumPy's": ("import numpy as np\nnp.asscalar(x)", (NUMPY1, "numpy.asscalar", 2)),
    "NumPy's alias of a type": ("import numpy\nx.astype(numpy.float)", (NUMPY1, "numpy.float", 2)),
    "Keras, which is only told": (
        "from tensorflow.keras.models import load_model",
        (KERAS, "tensorflow.keras.models.load_model", 1),
    ),
    "imp": ("import imp", (STDLIB, "imp", 1)),
    "from imp": ("from imp import load_source", (STDLIB, "imp.load_source", 1)),
    "collections": ("from collections import Mapping", (STDLIB, "collections.Mapping", 1)),
    "the clock": ("import time\ntime.clock()", (STDLIB, "time.clock", 2)),
}


@pytest.mark.parametrize("case", ASKS)
def test_a_name_that_is_gone_asks_for_its_time(case, tmp_path):
    source, expected = ASKS[case]
    first = find_reasons(source, "m.py", tmp_path)[0]
    assert (first.era, first.name, first.line) == expected
    assert first.file == "m.py"


ASKS_NOT = {
    "TensorFlow 2": "import tensorflow as tf\ntf.function(f)\ntf.train.Checkpoint()",
    "compat.v1, which works": "import tensorflow as tf\ntf.compat.v1.placeholder(1)\ntf.compat.v1.train.Saver()",
    "compat.v1 as tf": "import tensorflow.compat.v1 as tf\nwith tf.Graph().as_default(): tf.placeholder(1)",
    "NumPy 2": "import numpy as np\nnp.bool(1)\nnp.float64(1)\nnp.long(3)\nnp.isin(1, 2)",
    "names of its own": "def placeholder(): pass\nplaceholder()\nself.asscalar(x)",
    "another's names": "import torch as tf\ntf.Session()",
    "a text": "x = 'tf.placeholder'  # tf.placeholder\nimport tensorflow as tf",
    "where collections has them": "from collections.abc import Mapping\nimport collections\ncollections.OrderedDict()",
    "importlib": "import importlib\nimportlib.import_module('x')",
    "no Python": "print x",
}


@pytest.mark.parametrize("case", ASKS_NOT)
def test_what_is_there_asks_for_nothing(case, tmp_path):
    assert find_reasons(ASKS_NOT[case], "m.py", tmp_path) == []


@pytest.mark.parametrize(
    "name", ["counter.py", "rolling_mean_batched.py", "../../stream_scorer/models/tf_sp500_lstm.py"]
)
def test_our_own_models_ask_for_nothing(name, tmp_path):
    assert find_reasons((MODELS / name).read_text(), name, tmp_path) == []


FILES = {
    "a module": ("import helper", "helper.py"),
    "a module, from": ("from helper import f", "helper.py"),
    "a package": ("import pack", "pack/__init__.py"),
    "a module of a package": ("from pack import part", "pack/part.py"),
    "a module of a package, by its path": ("import pack.part", "pack/part.py"),
    "loaded by path": ("import importlib.util\nload('x', './helper.py')", "helper.py"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_of_the_attachment_ask_too(case, write, tmp_path):
    source, file = FILES[case]
    write("pack/__init__.py", "")
    write(file, "\nimport numpy as np\nnp.asscalar(1)")
    assert [(reason.file, reason.line) for reason in find_reasons(source, "m.py", tmp_path)] == [(file, 3)]


def test_files_are_followed_to_the_last(write, tmp_path):
    write("one.py", "from two import x\nimport m")
    write("two/__init__.py", "from .three import x")
    write("two/three.py", "from .. import one\nimport imp")
    write("m.py", "import one")
    assert [reason.file for reason in find_reasons("import one", "m.py", tmp_path)] == ["two/three.py"]


@pytest.fixture
def run(write, tmp_path, monkeypatch):
    """A module of source text in a directory with other files, scored once with 3."""

    def run(source: str, files: dict[str, str] | None = None) -> object:
        before = set(sys.modules)
        with sandbox(None) as inside:
            for name, text in (files or {}).items():
                (inside / name).parent.mkdir(exist_ok=True)
                (inside / name).write_text(dedent(text))
            try:
                module = Module(write("model.py", source))
                module.begin()
                ((_, output),) = scores(module, 3)
                return output
            finally:
                for name in set(sys.modules) - before:
                    del sys.modules[name]

    return run


def test_numpy_as_it_was_for_the_model_alone(run):
    source = """
    import numpy as np
    from numpy import asscalar, array
    from numpy.linalg import norm
    import numpy.random
    def action(x):
        a = np.array([x], dtype=np.float)
        assert np.bool is bool and np.int is int and isinstance(a, np.ndarray) and numpy.random is np.random
        assert np.in1d([[1, 2]], [2]).tolist() == [False, True]
        assert np.asfarray([1]).dtype == np.float64 == np.float_
        return [asscalar(a), norm(a), np.alltrue(a), np.product(array([2, x])), str(np.NaN)]
    """
    assert run(source) == [3.0, 3.0, True, 6, "nan"]
    assert not hasattr(np, "asscalar")
    assert not hasattr(sys.modules["numpy"], "float")


def test_the_standard_library_as_it_was(run):
    source = """
    from collections import Mapping, OrderedDict
    import collections, time, base64, fractions
    def action(x):
        assert isinstance({}, Mapping) and isinstance(OrderedDict(), collections.MutableMapping)
        assert time.clock() <= time.clock() and time.time() > 0
        return [fractions.gcd(12, 2 * x), base64.decodestring(base64.encodestring(b"x")).decode()]
    """
    assert run(source) == [6, "x"]
    assert not hasattr(sys.modules["collections"], "Mapping")


HELPER = "import numpy as np\ndef double(x): return np.asscalar(np.float64(2 * x))"
LOADS = {
    "import": "import helper",
    "import in the call": "def action(x):\n    import helper\n    return helper.double(x)",
    "from a package": "from pack import helper",
    "relative, in a package": "import pack.inner\nhelper = pack.inner.helper",
    "imp.load_source": "import imp\nhelper = imp.load_source('h', 'helper.py')",
    "load_source": "from imp import load_source\nhelper = load_source('h', './helper.py')",
    "imp.load_module": """
import imp
found = imp.find_module('helper')
with found[0]: helper = imp.load_module('h', *found)""",
    "imp, a package": "import imp\nhelper = imp.load_module('p', *imp.find_module('pack', ['.'])).helper",
    "imp.reload": "import imp, helper\nhelper = imp.reload(helper)",
    "imp.new_module": "import imp, helper\nh = imp.new_module('h')\nh.double = helper.double\nhelper = h",
}


@pytest.mark.parametrize("case", LOADS)
def test_files_of_the_attachment_see_what_the_model_sees(case, run):
    source = LOADS[case]
    if "def action" not in source:
        source += "\ndef action(x): return helper.double(x)"
    files = {
        "helper.py": HELPER,
        "pack/helper.py": HELPER,
        "pack/inner.py": "from . import helper",
        "pack/__init__.py": "from . import helper",
    }
    assert run(source, files) == 6.0
    assert sys.meta_path == [finder for finder in sys.meta_path if "stream_scorer" not in type(finder).__module__]


def test_loading_a_name_again_executes_it_in_its_place(run):
    source = """
    import imp
    first = imp.load_source('again', 'a.py')
    second = imp.load_source('again', 'b.py')
    def action(x): return [first is second, first.a, first.b]
    """
    assert run(source, {"a.py": "a = 1", "b.py": "b = 2"}) == [True, 1, 2]


def test_a_file_that_fails_to_load_is_not_there(run):
    with pytest.raises(ModelError, match=r"model\.py:3: the module body raised ZeroDivisionError"):
        run("import imp\n\nimp.load_source('failing', 'a.py')\ndef action(x): pass", {"a.py": "1 / 0"})
    assert "failing" not in sys.modules


def test_what_imp_has_not_is_told():
    with sandbox(None) as inside:
        (inside / "m.py").write_text("import imp\nimp.load_dynamic('x', 'x.so')\ndef action(x): pass")
        with pytest.raises(
            ModelError,
            match=r"m\.py:2: .*imp\.load_dynamic is not there\. Python has dropped imp.*load_source.*importlib",
        ):
            Module(inside / "m.py")


def test_one_line_tells_what_asked(run, caplog):
    source = "import numpy as np\nimport helper\ndef action(x):\n    return np.asscalar(np.array(x))"
    with caplog.at_level(logging.INFO, "stream_scorer"):
        run(source, {"helper.py": "import imp"})
    (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("compat")]
    assert (
        "model.py was written for NumPy 1 (numpy.asscalar at model.py:4), an older Python (imp at helper.py:1)" in line
    )
    assert "'# stream-scorer.compat: none'" in line


def test_a_comment_switches_it_off(run, caplog):
    source = "# stream-scorer.compat: none\nimport numpy as np\ndef action(x): return hasattr(np, 'asscalar')"
    with caplog.at_level(logging.INFO, "stream_scorer"):
        assert run(source + "\ndef never(): np.asscalar(1)") is False
    assert [record for record in caplog.records if record.name.endswith("compat")] == []


def test_a_model_of_today_has_pythons_own_import(run):
    assert run("import builtins\ndef action(x): return __import__ is builtins.__import__") is True


def test_keras_alone_is_a_model_of_today(run):
    source = "import builtins\ndef never(): import keras\ndef action(x): return __import__ is builtins.__import__"
    assert run(source) is True


PYTHON_2 = {
    "print": ("print x", "write print(...)"),
    "print of a text": ('print "a (b) = %s" % x', "write print(...)"),
    "print in a line": ("if x: print x", "write print(...)"),
    "except": ("try:\n  pass\nexcept ValueError, e:\n  pass", "write `except E as name:`"),
    "except of two": ("try:\n  pass\nexcept (ValueError, KeyError), e:\n  pass", "write `except E as name:`"),
    "raise": ("raise ValueError, 'no'", 'write `raise E("text")`'),
    "backticks": ("y = `x`", "write repr(...)"),
    "unequal": ("if x <> 3: pass", "write `!=`"),
    "exec": ("exec code in space", "write exec(CODE, NAMESPACE)"),
    "octal": ("mode = 0755", "0o17"),
    "long": ("n = 10L", "have no L"),
    "raw unicode": ("s = ur'x'", "write r'...'"),
    "a tuple for a parameter": ("def f((a, b)): pass", "take one name and unpack it"),
    "the same in a lambda": ("f = lambda (a, b): a", "lambda pair"),
    "tabs": ("if x:\n        a = 1\n\tb = 2", "Tabs and spaces mixed"),
}


@pytest.mark.parametrize("case", PYTHON_2)
def test_python_2_is_refused_with_its_line_and_what_to_write(case, write):
    source, told = PYTHON_2[case]
    wrong = next(
        at for at, line in enumerate(source.splitlines(), 3) if line.lstrip(" ") not in ("try:", "pass", "if x:")
    )
    with pytest.raises(ModelError) as raised:
        Module(write("old.py", f"import sys\nx = 1\n{source}\n"))
    assert f"old.py:{wrong + (case == 'tabs')}: not Python 3" in str(raised.value)
    assert told in str(raised.value)
    assert "2to3 -w FILE" in str(raised.value)


@pytest.mark.parametrize("source", ["def action(x: pass", "x = (1", "a b", "return = 3"])
def test_a_slip_is_not_taken_for_python_2(source, write):
    with pytest.raises(ModelError, match="not Python 3") as raised:
        Module(write("slip.py", source))
    assert "Python 2" not in str(raised.value)


FAKE_TENSORFLOW = (
    "class Session:\n    def run(self, x): return ['attached', x]\ndef placeholder(t): return t\nfloat32 = 7"
)
ATTACHED = {
    "tensorflow, a module": (
        {"tensorflow.py": FAKE_TENSORFLOW},
        "import tensorflow as tf\ndef action(x): return tf.Session().run(x)",
        ["attached", 3],
    ),
    "tensorflow, a package": (
        {"tensorflow/__init__.py": "from .core import *", "tensorflow/core.py": FAKE_TENSORFLOW},
        "import tensorflow.core\nfrom tensorflow import Session\ndef action(x): return Session().run(x)",
        ["attached", 3],
    ),
    "tensorflow.contrib": (
        {"tensorflow/__init__.py": "", "tensorflow/contrib/__init__.py": "rnn = 'mine'"},
        "from tensorflow.contrib import rnn\ndef action(x): return rnn",
        "mine",
    ),
    "tensorflow, in the call": (
        {"tensorflow.py": FAKE_TENSORFLOW},
        "def action(x):\n    import tensorflow as tf\n    return tf.Session().run(tf.placeholder(x))",
        ["attached", 3],
    ),
    "tensorflow, though the comment says TensorFlow 1": (
        {"tensorflow.py": FAKE_TENSORFLOW},
        "# stream-scorer.compat: tf1\nimport tensorflow as tf\ndef action(x): return tf.Session().run(x)",
        ["attached", 3],
    ),
    "tensorflow, beside NumPy 1": (
        {"tensorflow.py": FAKE_TENSORFLOW},
        "import tensorflow as tf, numpy as np\ndef action(x): return tf.Session().run(np.asscalar(np.array(x)))",
        ["attached", 3],
    ),
    "tensorflow, by another attached file": (
        {"tensorflow.py": FAKE_TENSORFLOW, "helper.py": "import tensorflow as tf\nrun = tf.Session().run"},
        "import helper\ndef action(x): return helper.run(x)",
        ["attached", 3],
    ),
    "numpy, which is loaded here": (
        {"numpy/__init__.py": "from . import inner", "numpy/inner.py": "def asscalar(x): return ['attached', x]"},
        "import numpy as np\nfrom numpy.inner import asscalar\ndef action(x): return np.inner.asscalar(x)",
        ["attached", 3],
    ),
    "numpy, without a name that is gone": (
        {"numpy.py": "def array(x): return ['attached', x]"},
        "import numpy as np\ndef action(x): return np.array(x)",
        ["attached", 3],
    ),
    "imp": ({"imp.py": "load_source = 'mine'"}, "import imp\ndef action(x): return imp.load_source", "mine"),
    "fractions": ({"fractions.py": "gcd = 'mine'"}, "from fractions import gcd\ndef action(x): return gcd", "mine"),
    "collections": (
        {"collections.py": "Mapping = 'mine'"},
        "import collections\ndef action(x): return collections.Mapping",
        "mine",
    ),
    "a directory of data is no library": (
        {"numpy/data.txt": "", "tensorflow/graph.pb": ""},
        "import numpy as np\ndef action(x): return np.asscalar(np.array(x))",
        3,
    ),
    "time, which the interpreter holds": (
        {"time.py": "raise RuntimeError"},
        "import time\ndef action(x): return time.clock() >= 0",
        True,
    ),
}


@pytest.mark.parametrize("case", ATTACHED)
def test_what_is_attached_comes_before_what_we_offer(case, run):
    files, source, output = ATTACHED[case]
    loaded = {name: sys.modules.get(name) for name in ("numpy", "numpy.linalg", "collections", "fractions")}
    assert run(source, files) == output
    assert {name: sys.modules.get(name) for name in loaded} == loaded
