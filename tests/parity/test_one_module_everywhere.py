"""The first promise: one file with one sha256, and the same bits wherever it runs."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stream_scorer import open_model
from stream_scorer.testing import Driver
from support.service import FLAGSHIP, run, score_topic
from tests.support.prices import adjusted_test_part

pytestmark = pytest.mark.tensorflow
HOST = Path(__file__).with_name("host.py")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "sp500"
    done = run("export", out=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def values(shared_data):
    return adjusted_test_part(shared_data).tolist()


@pytest.fixture(scope="module")
def reference(bundle, values, tmp_path_factory):
    """Scores of the plain host, as bytes."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "in").write_bytes(struct.pack(f"<{len(values)}d", *values))
    subprocess.run([sys.executable, HOST, bundle, folder / "in", folder / "out"], check=True, capture_output=True)
    scores = (folder / "out").read_bytes()
    return [scores[at : at + 8] for at in range(0, len(scores), 8)]


def test_the_bundle_passes_verify(bundle):
    done = run("verify", str(bundle))
    assert done.returncode == 0, done.stderr
    assert "same bits" in done.stdout


def test_score_gives_the_hosts_bits(bundle, values, reference):
    lines = "\n".join(map(repr, values)).encode()
    done = run("score", str(bundle), stdin=lines)
    assert done.returncode == 0, done.stderr
    assert [struct.pack("<d", float(line)) for line in done.stdout.split()] == reference


def test_python_gives_the_hosts_bits(bundle, values, reference):
    with open_model(bundle) as model:
        outputs = [out.value for out in model.score(values, key="SP500")]
    assert [struct.pack("<d", output) for output in outputs] == reference
    with Driver(bundle) as driver:
        driver.send_all(values, key="SP500")
        driver.restart()
        assert [struct.pack("<d", out.value) for out in driver.outputs] == reference


@pytest.mark.broker
def test_the_service_gives_the_hosts_bits_each_once_in_order(bundle, values, reference, kafka, name):
    prices, scores = (kafka.create(name(what), retention_ms="-1") for what in ("prices", "scores"))
    sent = [
        {"value": struct.pack("<d", value), "key": b"SP500", "timestamp": at + 1} for at, value in enumerate(values)
    ]
    kafka.send(prices, sent)
    done = score_topic(str(bundle), kafka.servers, input_topic=prices, output_topic=scores, group=name("group"))

    found = kafka.read(scores)
    assert len(values) >= 2597
    assert len(reference) == len(values) - 29
    assert [message.value() for message in found] == reference
    headers = [dict(message.headers()) for message in found]
    assert [one["scorer-source"] for one in headers] == [
        b"%s/0/%d" % (prices.encode(), at) for at in range(29, len(values))
    ]
    assert [(message.key(), message.timestamp()[1]) for message in found] == [
        (b"SP500", at + 1) for at in range(29, len(values))
    ]
    sha256 = hashlib.sha256((bundle / "tf_sp500_lstm.py").read_bytes()).hexdigest()
    assert json.loads((bundle / "manifest.json").read_text())["sha256"] == sha256
    assert {one["scorer-model"] for one in headers} == {f"tf_sp500_lstm@{sha256}".encode()}
    assert f"sha256={sha256}" in done.stderr
    shipped = Path(__file__).parents[2] / "stream_scorer" / "models" / "tf_sp500_lstm.py"
    assert shipped.read_bytes() == (bundle / "tf_sp500_lstm.py").read_bytes()


@pytest.mark.broker
def test_two_keys_on_one_partition_score_as_if_alone(values, reference, kafka, name):
    prices, scores = kafka.create(name("prices")), kafka.create(name("scores"))
    other = [value * 0.5 for value in values[:200]]
    both = [
        (key, value) for pair in zip(values, other, strict=False) for key, value in zip((b"A", b"B"), pair, strict=True)
    ]
    kafka.send(prices, [{"key": key, "value": struct.pack("<d", value)} for key, value in both])
    score_topic(FLAGSHIP, kafka.servers, input_topic=prices, output_topic=scores, group=name("group"))

    found = kafka.read(scores)
    alone = run("score", FLAGSHIP, stdin="\n".join(map(repr, other)).encode())
    assert [message.value() for message in found if message.key() == b"A"] == reference[: 200 - 29]
    assert [message.value() for message in found if message.key() == b"B"] == [
        struct.pack("<d", float(line)) for line in alone.stdout.split()
    ]


def test_scores_agree_with_tensorflow_1_4(reference_data, tmp_path):
    """The tutorial's own checkpoint, made and scored by TensorFlow 1.4, within the tolerance between runtimes."""
    golden = np.load(reference_data / "golden.npz")
    with tarfile.open(tmp_path / "attachment.tar.gz", "w:gz") as tar:
        for path in (reference_data / "tf1_checkpoint").iterdir():
            if path.name.startswith("tf_sp500_lstm"):
                tar.add(path, path.name)
    lines = "\n".join(map(repr, golden["stream"].tolist())).encode()
    done = run("score", FLAGSHIP, stdin=lines, attachment=tmp_path / "attachment.tar.gz")
    scores = np.array([float(line) for line in done.stdout.split()])
    np.testing.assert_allclose(scores, golden["pred_tf1_4_0"], atol=5e-6)
