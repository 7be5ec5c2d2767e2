"""Models of TensorFlow 1.4's time, byte for byte, on the TensorFlow we pin; what they give is compared with 1.4's own."""

from __future__ import annotations

import gc
import json
import struct
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import ModelError
from stream_scorer.model.compat.names import TENSORFLOW_1
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.records import Batch, Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.state.sessions import Sessions
from support.service import run
from tests.support import wired
from tests.support.host import scores
from tests.support.tutorial import Tutorial

pytestmark = pytest.mark.tensorflow
LEGACY = Path(__file__).parents[1] / "models" / "legacy"
EXPECTED = json.loads((LEGACY / "expected.json").read_text())
HELPERS = {"shapes", "shapes.squares", "network_of_helped", "constants_of_helped"}
FLAGSHIP = Path(__file__).parents[2] / "stream_scorer" / "models"


def pack(archive: Path, folder: Path, pattern: str) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for path in folder.rglob(pattern):
            if path.is_file():
                tar.add(path, str(path.relative_to(folder)))
    return archive


@pytest.fixture(autouse=True)
def _nobody_else_notices():
    """Whatever a model does, the process has TensorFlow 2 and NumPy 2, in eager mode, before and after."""
    import tensorflow as tf

    modules = {name: sys.modules[name] for name in ("tensorflow", "numpy", "collections", "time")}
    meta_path, names = list(sys.meta_path), set(vars(tf))
    loaded = set(sys.modules)
    yield
    for name in set(sys.modules) - loaded:  # models and their helpers have names that anybody may have
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(LEGACY) or name in HELPERS:
            del sys.modules[name]
    gc.collect()
    assert {name: sys.modules[name] for name in modules} == modules
    assert sys.meta_path == meta_path
    assert {name for name in set(vars(tf)) - names if not name.startswith("_")} <= set(dir(tf))
    assert tf.__version__.startswith("2.")
    assert not hasattr(tf, "placeholder")
    assert not hasattr(tf, "contrib")
    assert not hasattr(np, "asscalar")
    assert tf.executing_eagerly()
    assert tf.compat.v1.get_default_session() is None
    assert tf.compat.v1.control_flow_v2_enabled()
    assert tf.compat.v1.resource_variables_enabled()
    assert type(tf.ones([2, 3]).shape[1]) is int
    assert not tf.compat.v1.get_default_graph().get_operations()
    with pytest.raises(TypeError, match="unhashable"):
        hash(tf.constant(1.0))


@pytest.fixture(scope="module")
def seed(reference_data, tmp_path_factory) -> tuple[Path, Path, np.lib.npyio.NpzFile]:
    """(the tutorial's own script, its checkpoint as an attachment, what TensorFlow 1.4 gave)."""
    folder = tmp_path_factory.mktemp("seed")
    tutorial = Tutorial(reference_data)
    (folder / "seed.py").write_bytes(tutorial.script)
    archive = pack(folder / "attachment.tar.gz", reference_data / "tf1_checkpoint", "tf_sp500_lstm*")
    return folder / "seed.py", archive, tutorial.golden()


def scored(module: Module, values: list[float]) -> list[object]:
    return [output for value in values for _, output in scores(module, value)]


def test_the_seeds_own_script_gives_tensorflow_1_4s_scores(seed):
    script, archive, golden = seed
    with sandbox(archive):
        module = Module(script)
        module.begin()
        assert module.state_names == ("past_days",)
        started = time.perf_counter()
        found = scored(module, golden["stream"].tolist())
        spent = time.perf_counter() - started
        module.end()
    assert len(found) == 500
    assert {type(score) for score in found} == {float}
    np.testing.assert_allclose(found, golden["pred_tf1_4_0"], atol=5e-6, rtol=0)
    # One run of the session per record: about 1.5 ms. Building the graph anew would be 200 ms and more.
    assert spent / len(found) < 0.03


def test_score_runs_the_seeds_own_script(seed):
    script, archive, golden = seed
    lines = "\n".join(map(repr, golden["stream"].tolist())).encode()
    done = run("score", str(script), stdin=lines, attachment=archive, log_level="INFO")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], golden["pred_tf1_4_0"], atol=5e-6, rtol=0)
    assert "seed.py was written for TensorFlow 1 (tensorflow.logging.set_verbosity at seed.py:9" in done.stderr
    assert "NumPy 1 (numpy.asscalar at seed.py:" in done.stderr
    assert [line for line in done.stderr.splitlines() if " INFO stream_scorer." not in line] == []


def test_a_jet_runs_the_seeds_own_script(seed, caplog):
    script, archive, golden = seed
    package = ModelPackage("tf_sp500_lstm", source=script.read_bytes(), attachments=((archive.name, archive),))
    double, said = CodecSpec("json", schema_name="double", schema="double"), []
    jet = Jet(package, {0: double, 1: double}, shared=SharedState(), on_console=said.append)
    try:
        with caplog.at_level("INFO", "stream_scorer.modelop.process"):
            jet.start()
        result = jet.feed(Batch(0, 1, [repr(value).encode() for value in golden["stream"].tolist()], None))
    finally:
        jet.close()
    assert result.failure is None
    found = [float(record) for _, record in result.outputs]
    np.testing.assert_allclose(found, golden["pred_tf1_4_0"], atol=5e-6, rtol=0)
    assert "was written for TensorFlow 1" in caplog.text
    assert said == []


@pytest.mark.parametrize("encoding", ["avro-binary", "json"])
def test_run_scores_as_tensorflow_1_4_did_through_an_abort_and_a_restart(encoding, seed):
    script, archive, golden = seed
    stream = golden["stream"].tolist()
    values = [struct.pack("<d", value) if encoding == "avro-binary" else repr(value).encode() for value in stream]
    log = wired.run(
        script, wired.settings(encoding, encoding, attachment=archive), values, aborts=[100], restarts=[250], batch=64
    )
    assert log.rejects == []
    read = struct.Struct("<d").unpack if encoding == "avro-binary" else lambda text: (float(text),)
    found = [read(out.value)[0] for out in log.outputs]
    np.testing.assert_allclose(found, golden["pred_tf1_4_0"], atol=5e-6, rtol=0)


def test_keys_of_the_seeds_own_script_do_not_mix(seed):
    script, archive, golden = seed
    values = golden["stream"].tolist()[:40]
    with sandbox(archive):
        module = Module(script)
        module.begin()
        double = codec_for("avro-binary", make_schema("double", "double"))
        scorer = Scorer(module, Sessions(module, module.state_names), double, {1: double})
        pairs = [(key, each) for value in values for key, each in ((b"a", value), (b"b", value * 0.5))]
        records = [
            Record(Partition("prices", 0), at, key, struct.pack("<d", value), None, None)
            for at, (key, value) in enumerate(pairs)
        ]
        outputs = [output for at in range(0, 80, 7) for output in scorer.score(records[at : at + 7])]
        module.set_state(([],))
        alone = scored(module, [value * 0.5 for value in values])
        module.end()
    found: dict[bytes, list[float]] = {b"a": [], b"b": []}
    for output in outputs:
        found[output.source.key] += struct.unpack("<d", output.value)
    assert found[b"b"] == alone
    np.testing.assert_allclose(found[b"a"], golden["pred_tf1_4_0"][:11], atol=5e-6, rtol=0)


def test_a_graph_of_tensorflow_1_4_is_read_from_its_meta_file(seed, tmp_path):
    """Without the code that made it: as `import_meta_graph` and names of tensors had it."""
    _, archive, golden = seed
    source = """
import numpy as np
import tensorflow as tf
def begin():
    global sess, past_days
    past_days = []
    tf.reset_default_graph()
    sess = tf.Session(config=tf.ConfigProto(allow_soft_placement=True))
    tf.train.import_meta_graph("tf_sp500_lstm.meta").restore(sess, tf.train.get_checkpoint_state(".") or "tf_sp500_lstm")
def action(x):
    past_days.append(x)
    if len(past_days) >= 30:
        outputs = sess.run("rnn/transpose:0", {"Placeholder:0": np.reshape(past_days[-30:], (1, 30, 1))})
        yield np.asscalar(outputs[0, -1, 0])
"""
    (tmp_path / "meta.py").write_text(source)
    with sandbox(archive):
        module = Module(tmp_path / "meta.py")
        module.begin()
        assert module.state_names == ("past_days",)
        found = scored(module, golden["stream"].tolist()[:60])
    np.testing.assert_allclose(found, golden["pred_tf1_4_0"][:31], atol=5e-6, rtol=0)


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_scores_and_names_of_variables_are_tensorflow_1_4s(name, tmp_path):
    """expected.json was written by TensorFlow 1.4.0 itself, see record.py."""
    expected = EXPECTED["models"][name]
    archive = pack(tmp_path / "attachment.tar.gz", LEGACY / "helped", "*.py")
    with sandbox(archive):
        module = Module(LEGACY / name)
        module.begin()
        found = scored(module, EXPECTED["inputs"])
        module.end()
    assert module.namespace["names"] == expected["variables"]
    np.testing.assert_allclose(found, expected["outputs"], atol=5e-6, rtol=0)


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_run_and_a_jet_give_tensorflow_1_4s_scores(name, tmp_path):
    archive = pack(tmp_path / "attachment.tar.gz", LEGACY / "helped", "*.py")
    values = [repr(value).encode() for value in EXPECTED["inputs"]]
    # What a model counts in a TensorFlow variable is not undone (docs/legacy-models.md): that model sees no abort.
    aborts = [] if name == "layers.py" else [2]
    log = wired.run(LEGACY / name, wired.settings(attachment=archive), values, aborts=aborts, batch=3)
    with sandbox(archive):
        outputs, failed = wired.in_jet(LEGACY / name, "json", {}, values)
    assert (log.rejects, failed) == ([], False)
    for written in ([out.value for out in log.outputs], [data for _, data in outputs]):
        found = [json.loads(one) for one in written]
        np.testing.assert_allclose(found, EXPECTED["models"][name]["outputs"], atol=5e-6, rtol=0)


def test_models_of_both_times_live_side_by_side():
    """Two legacy models, each with a graph and a session of its own, and the flagship between them."""
    with sandbox(FLAGSHIP / "attachment.tar.gz"):
        flagship = Module(FLAGSHIP / "tf_sp500_lstm.py")
        flagship.begin()
        values = np.linspace(0, 1, 31).tolist()
        alone = scored(flagship, values)
        assert len(alone) == 2
        old = [Module(LEGACY / name) for name in ("layers.py", "frozen.py")]
        for module in old:
            module.begin()
        flagship.set_state(([],))
        mixed = []
        for at, value in enumerate(values):
            mixed += scored(flagship, [value])
            for module in old:
                scores(module, EXPECTED["inputs"][at % 8])
        assert mixed == alone
        later = Module(FLAGSHIP / "tf_sp500_lstm.py")
        later.begin()
        assert scored(later, values) == alone
        for module in [*old, flagship, later]:
            module.end()


def test_a_session_left_open_takes_nothing_of_the_process_with_it(tmp_path):
    """`frozen.py` enters a session and never leaves it; collected, that would end somebody else's block."""
    import tensorflow as tf

    def load() -> None:
        module = Module(LEGACY / "frozen.py")
        module.begin()
        scores(module, 1.0)

    with sandbox(None):
        load()
    sys.modules.pop("frozen", None)
    gc.collect()

    @tf.function
    def lifted() -> tf.Tensor:
        with tf.init_scope():
            assert tf.executing_eagerly()
        return tf.constant(1)

    assert lifted().numpy() == 1


HEAD = "import tensorflow as tf\nimport numpy as np\n"
BEHAVES = {
    "the comment alone": "# stream-scorer.compat: tf1\ndef action(x): return hasattr(__import__('tensorflow'), 'Session')",
    "eager off, for the model": HEAD
    + "def action(x): return tf.placeholder(tf.float32) is not None and not tf.executing_eagerly()",
    "the facade is TensorFlow to itself": HEAD
    + "import tensorflow.compat.v1 as v1\nfrom tensorflow import compat\ntf.Session\n"
    + "def action(x): return v1 is tf is compat.v1 and tf.__name__ == 'tensorflow' and compat.v2.__version__ == tf.__version__",
    "the switches of compat.v1": "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\n"
    "s = tf.Session()\ndef action(x): return s.run(tf.constant(2) * 2) == 4",
    "modules below, the same for all": "from tensorflow.python.framework import ops\nfrom tensorflow.python.ops import math_ops\n"
    "from tensorflow.python.ops import rnn_cell_impl, rnn\nimport tensorflow.python.ops.rnn_cell as c\n"
    "def action(x): return c.LSTMCell is rnn_cell_impl.LSTMCell and ops.get_default_graph() is not None",
    "a star": "from tensorflow.contrib.layers import *\ndef action(x): return callable(fully_connected)",
    "a variable's tensor is its value": HEAD
    + "v = tf.Variable(3.0, name='v')\ns = tf.Session()\ns.run(v.initializer)\ndef action(x): return float(s.run('v:0')) == 3",
    "an op that fails says so": HEAD
    + "s = tf.Session()\np = tf.placeholder(tf.float32)\ndef action(x):\n try: s.run(p)\n"
    + " except tf.errors.InvalidArgumentError: return True",
    "a session for the block": HEAD
    + "def action(x):\n with tf.Session() as s:\n  assert s is tf.get_default_session()\n"
    + "  return tf.constant([x, 1]).eval().sum() == 4",
    "a graph of its own": HEAD
    + "g = tf.Graph()\nwith g.as_default(): c = tf.constant(7)\ns = tf.Session(graph=g)\n"
    + "def action(x):\n yield s.run(c) == 7 and tf.get_default_graph() is not g\n",
}


@pytest.mark.parametrize("case", BEHAVES)
def test_in_the_model_it_is_as_it_was(case, tmp_path):
    (tmp_path / "model.py").write_text(BEHAVES[case])
    with sandbox(None):
        module = Module(tmp_path / "model.py")
        module.begin()
        assert [bool(output) for _, output in scores(module, 3)] == [True]


def test_keras_in_graph_mode_is_warned_of(tmp_path, caplog):
    (tmp_path / "model.py").write_text(HEAD + "def begin(): tf.keras.models\ndef action(x): tf.Session()")
    with sandbox(None), caplog.at_level("INFO", "stream_scorer"):
        Module(tmp_path / "model.py")
    info, warning = [record for record in caplog.records if record.name.endswith("compat")]
    assert (info.levelname, warning.levelname) == ("INFO", "WARNING")
    assert "model.py:3: tensorflow.keras.models beside TensorFlow 1's names" in warning.getMessage()


TOLD = {
    "a part of contrib": (
        "tf.contrib.slim",
        r"tensorflow\.contrib\.slim is not there\. stream-scorer has only layers, rnn of it\.",
    ),
    "contrib, imported": (
        "from tensorflow.contrib import slim",
        r"tensorflow\.contrib\.slim is not there\. stream-scorer has only",
    ),
    "what nobody has": ("tf.estimator", r"tensorflow\.estimator is not there\. Neither TensorFlow 2\."),
    "eager mode": ("tf.enable_eager_execution()", r"run in graph mode.*stream-scorer\.compat: none"),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_is_not_provided_is_told_with_the_way_out(case, tmp_path):
    line, message = TOLD[case]
    (tmp_path / "model.py").write_text(f"import tensorflow as tf\ntf.Session\n{line}\ndef action(x): pass")
    with sandbox(None), pytest.raises(ModelError, match=r"model\.py:3: .*" + message):
        Module(tmp_path / "model.py")


def test_the_list_of_names_is_right():
    """None is in TensorFlow 2, which would switch the facade on for its models; all are in the facade."""
    import tensorflow as tf

    from stream_scorer.model.compat.tf1 import facade

    def there(module: object, name: str) -> bool:
        for part in name.split("."):
            if not hasattr(module, part):
                return False
            module = getattr(module, part)
        return True

    assert [name for name in TENSORFLOW_1 if there(tf, name)] == []
    assert [name for name in TENSORFLOW_1 if not there(facade(), name)] == []
