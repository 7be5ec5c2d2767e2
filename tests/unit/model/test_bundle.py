"""Bundles: the same bytes every time, each with its hash."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model import bundle as bundles
from stream_scorer.model.archive import read_archive, write_archive
from stream_scorer.model.locate import locate
from stream_scorer.model.manifest import is_bundle, read_manifest
from stream_scorer.model.trust import CHECKED, read_bundle

SOURCE = (
    b"# fastscore.schema.0: double\r\n# fastscore.schema.1: score\r\nimport json, os.path\r\nimport numpy as np\r\n"
    b"from fastscore.io import Slot\r\ndef action(x): return x\r\n"
)
SCHEMAS = {"double": '{"type": "double"}\n', "score": '{"type": "float"}\n'}
TOPICS = {0: "prices", 1: "scores"}


def export(module, *rest):
    return bundles.export(locate(str(module)), *rest).manifest


def check_manifest(bundle):
    """What is refused, as a text; "" if nothing."""
    try:
        read_bundle(bundle, CHECKED)
    except ModelError as error:
        return str(error)
    return ""


@pytest.fixture
def module(write):
    return write("toy.py", SOURCE)


@pytest.fixture
def weights(write):
    for name in ("toy.h5", "toy.json", "toy.v2.h5", "report.json", "toys.h5"):
        path = write(f"weights/{name}", name)
    return path.parent


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_exporting_twice_gives_the_same_bytes(module, weights, tmp_path):
    one, two = (export(module, weights, tmp_path / name, SCHEMAS, TOPICS) for name in ("one", "two"))
    assert one == two
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_the_modules_bytes_are_never_changed(module, weights, tmp_path):
    manifest = export(module, weights, tmp_path / "out", SCHEMAS, TOPICS)
    assert (tmp_path / "out" / "toy.py").read_bytes() == SOURCE
    assert manifest["sha256"] == hashlib.sha256(SOURCE).hexdigest()


def test_the_manifest_has_every_file_and_its_hash(module, weights, tmp_path):
    manifest = export(module, weights, tmp_path / "out", SCHEMAS, TOPICS)
    files = _files(tmp_path / "out")
    assert json.loads(files.pop("manifest.json")) == manifest
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    assert set(files) == {
        *("toy.py", "attachment.tar.gz", "double.avsc", "score.avsc", "requirements.txt", "Dockerfile"),
        *("rest.json", "kafka-in.json", "kafka-out.json"),
    }
    assert is_bundle(tmp_path / "out")
    assert check_manifest(tmp_path / "out") == ""


def test_the_attachment_holds_the_files_named_after_the_module(module, weights, tmp_path):
    export(module, weights, tmp_path / "out", {}, {})
    assert set(read_archive(tmp_path / "out" / "attachment.tar.gz")) == {"toy.h5", "toy.json", "toy.v2.h5"}


def test_without_weights_the_attachment_beside_the_module_is_taken(module, tmp_path):
    write_archive(module.parent / "attachment.tar.gz", {"any": b"thing"})
    export(module, None, tmp_path / "out", {}, {})
    assert read_archive(tmp_path / "out" / "attachment.tar.gz") == {"any": b"thing"}


def test_an_attachment_that_training_made_is_taken_whole(module, weights, tmp_path):
    write_archive(weights / "toy.tar.gz", {"helper.py": b"", "toy.json": b"{}"})
    export(module, weights, tmp_path / "out", SCHEMAS, TOPICS)
    assert set(read_archive(tmp_path / "out" / "attachment.tar.gz")) == {"helper.py", "toy.json"}


def test_modules_in_the_attachment_are_no_requirements(write, tmp_path):
    path = write("toy.py", "import helper, folder.part, numpy\ndef action(x): return x\n")
    write_archive(path.parent / "toy.tar.gz", {"helper.py": b"", "folder/part.py": b""})
    export(path, None, tmp_path / "out", {}, {})
    assert (tmp_path / "out" / "requirements.txt").read_text() == f"numpy=={np.__version__}\n"


def test_weights_that_are_not_there_are_told(module, tmp_path):
    with pytest.raises(ModelError, match="no such directory"):
        export(module, tmp_path / "gone", tmp_path / "out", {}, {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no files named toy\.\* there"):
        export(module, tmp_path / "empty", tmp_path / "out", {}, {})


def test_requirements_are_the_versions_in_use(module, tmp_path):
    export(module, None, tmp_path / "out", {}, {})
    assert (tmp_path / "out" / "requirements.txt").read_text() == f"numpy=={np.__version__}\n"


def test_a_module_of_the_standard_library_alone_requires_nothing(write, tmp_path):
    export(write("toy.py", "import json\ndef action(x): return x"), None, tmp_path / "out", {}, {})
    assert (tmp_path / "out" / "requirements.txt").read_text() == ""


TF_1 = "import tensorflow as tf\nimport numpy as np\ndef begin(): tf.placeholder(tf.float32)\ndef action(x): return x\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            TF_1,
            "# toy.py was written for TensorFlow 1 (tensorflow.placeholder at toy.py:3): libraries of that time, which need "
            "Python 3.6.\nnumpy==1.13.*\ntensorflow==1.4.*\n",
        ),
        (
            "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\ndef action(x): return x\n",
            "# toy.py was written for TensorFlow 1 (tensorflow.compat.v1.disable_v2_behavior at toy.py:2): libraries of that "
            "time, which need Python 3.6.\ntensorflow==1.15.*\n",
        ),
        (
            "# stream-scorer.compat: tf1\nimport keras, hypothesis\ndef action(x): return x\n",
            "# toy.py was written for TensorFlow 1 (its stream-scorer.compat comment says so): libraries of that time, which "
            "need Python 3.6.\nhypothesis\nkeras==2.1.*\n",
        ),
        (
            "import numpy as np\ndef action(x): yield np.asscalar(np.array([x]))\n",
            "# toy.py was written for NumPy 1 (numpy.asscalar at toy.py:2): libraries of that time, which need Python 3.10 or "
            "earlier.\nnumpy<1.23\n",
        ),
        (
            "# stream-scorer.compat: none\nimport numpy as np\ndef action(x): yield np.asscalar(x)\n",
            f"numpy=={np.__version__}\n",
        ),
    ],
    ids=["TensorFlow 1", "compat.v1", "by comment", "NumPy 1", "switched off"],
)
def test_a_model_of_another_time_requires_the_libraries_of_that_time(write, tmp_path, source, expected):
    export(write("toy.py", source), None, tmp_path / "out", {}, {})
    assert (tmp_path / "out" / "requirements.txt").read_text() == expected


def test_an_import_that_is_not_installed_is_told(write, tmp_path):
    with pytest.raises(ModelError, match=r"toy\.py: imports no_such_thing, which is not installed here"):
        export(write("toy.py", "def action(x):\n from no_such_thing.a import b"), None, tmp_path / "out", {}, {})


def test_descriptors_say_how_modelop_attaches_the_streams(module, tmp_path):
    export(module, None, tmp_path / "out", SCHEMAS, TOPICS)
    files = _files(tmp_path / "out")
    kafka = {"Type": "kafka", "BootstrapServers": ["localhost:9092"]}
    assert json.loads(files["kafka-in.json"]) == {
        "Transport": {**kafka, "Topic": "prices"},
        "Encoding": "avro-binary",
        "Schema": {"$ref": "double"},
    }
    assert json.loads(files["kafka-out.json"])["Schema"] == {"$ref": "score"}
    assert json.loads(files["rest.json"]) == {"Transport": "REST", "Encoding": "json"}


def test_a_slot_without_schema_is_json(write, tmp_path):
    export(write("toy.py", "def action(x): return x"), None, tmp_path / "out", {}, {0: "prices"})
    stream = json.loads((tmp_path / "out" / "kafka-in.json").read_text())
    assert stream["Encoding"] == "json"
    assert "Schema" not in stream


def test_a_file_changed_missing_or_added_is_found(module, weights, tmp_path):
    out = tmp_path / "out"
    export(module, weights, out, SCHEMAS, TOPICS)
    (out / "toy.py").write_bytes(SOURCE + b"#")
    (out / "double.avsc").unlink()
    (out / "extra").touch()
    problems = check_manifest(out)
    assert problems.startswith(f"{out}: not what its manifest says: double.avsc is missing; toy.py has sha256 ")
    assert "; extra is not listed. Export it again; or say --unverified" in problems


def test_a_manifest_that_contradicts_itself_is_found(module, tmp_path):
    out = tmp_path / "out"
    manifest = export(module, None, out, SCHEMAS, TOPICS)
    (out / "manifest.json").write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    assert "the sha256 of the module differs from that of its file" in check_manifest(out)


@pytest.mark.parametrize("text", [None, "{", '{"format": 2}', '{"format": 1}'])
def test_a_manifest_that_is_none_is_told(text, tmp_path):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json: .*Export the bundle again"):
        read_manifest(tmp_path)


def test_a_manifest_that_is_a_list_is_told(tmp_path):
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ModelError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_what_training_saw_goes_along(module, weights, tmp_path):
    (weights / "reference.json").write_text(json.dumps([float(at) for at in range(1024)]))
    export(module, weights, tmp_path / "out", {}, {})
    kept = json.loads((tmp_path / "out" / "reference.json").read_text())
    assert kept == [float(at) for at in range(1, 1024, 2)]
    assert check_manifest(tmp_path / "out") == ""


def test_of_a_module_alone_what_lies_beside_it(module, tmp_path):
    (module.parent / "reference.json").write_text("[2, 1]")
    export(module, None, tmp_path / "out", {}, {})
    assert json.loads((tmp_path / "out" / "reference.json").read_text()) == [1.0, 2.0]
