"""secret:// in a descriptor."""

from __future__ import annotations

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.secrets import revealed

S3 = {"Type": "S3", "Bucket": "abc", "ObjectKey": "k"}


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_PATH_ROOT", str(tmp_path))
    (tmp_path / "id").write_text("AKIA\n")
    (tmp_path / "keys").write_bytes(b"\x05\x02")


def test_a_secret_is_the_text_of_its_file_and_stays_out_of_answers(stream, tmp_path):
    found = stream({**S3, "AccessKeyID": "secret://id", "SecretAccessKey": f"secret://{tmp_path}/id"})
    fields = revealed(found.transport)
    assert (fields["AccessKeyID"], fields["SecretAccessKey"]) == ("AKIA", "AKIA")
    assert "AKIA" not in str(found.interpreted())


def test_a_keytab_stays_a_file(stream, tmp_path):
    kafka = {"Type": "kafka", "BootstrapServers": ["h:1"], "Topic": "t", "Principal": "p", "Keytab": "secret://keys"}
    assert revealed(stream(kafka).transport)["Keytab"] == str(tmp_path / "keys")


@pytest.mark.parametrize("name", ["gone", "", "../id"])
def test_a_secret_that_is_not_there_is_told(stream, name):
    with pytest.raises(DescriptorError, match=r"AccessKeyID|names no secret"):
        revealed(stream({**S3, "AccessKeyID": f"secret://{name}"}).transport)
