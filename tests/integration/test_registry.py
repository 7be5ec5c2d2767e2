"""The service and a schema registry that is away, behind TLS, and at last somebody else's."""

from __future__ import annotations

import json
import struct

import pytest

from stream_scorer.errors import EXIT_BROKER
from support.service import MODELS, Service
from tests.support.registry import Certificates, Reply, registry

pytestmark = pytest.mark.broker
ECHO = str(MODELS / "echo_positive.py")
REFERRED = {"type": "record", "name": "Unused", "fields": []}


def _framed(number, value):
    return {"value": struct.pack(">bI", 0, number) + value, "key": b"k", "partition": 0}


def test_a_registry_in_all_its_moods(kafka, topics, tmp_path):
    """503 costs no record, an unknown schema costs its own, and another's answer ends the service before it costs any."""
    given = Certificates(tmp_path)
    certificate, key = given.make("client")
    (tmp_path / "token").write_text("from a file\n")
    own = {
        "ssl.ca.location": given.ca,
        "ssl.certificate.location": certificate,
        "ssl.key.location": key,
        "bearer.auth.token": f"@{tmp_path / 'token'}",
    }
    one = struct.pack("<f", 1.5)
    kafka.send(topics["input_topic"], [_framed(7, one), _framed(55, one), _framed(7, one)])
    with registry(tls=given.server(wants_client=True)) as server:
        server.subjects["unused", 1] = {"schema": json.dumps(REFERRED)}
        server.texts[7] = {
            "schema": '"float"',
            "references": [{"name": "Unused", "subject": "unused", "version": 1}],
        }
        server.refuse_all = Reply(503)
        with Service(
            tmp_path,
            ECHO,
            kafka.servers,
            framing="registry",
            schema_registry=server.url,
            registry=[f"{name}={value}" for name, value in own.items()],
            **topics,
        ) as service:
            service.wait_for("not yet: schema registry")
            assert kafka.read(topics["output_topic"]) == []
            server.refuse_all = None
            scores = kafka.wait_for(topics["output_topic"], 2)
            assert [score.value() for score in scores] == [struct.pack(">bI", 0, 99) + struct.pack("<d", 1.5)] * 2
            (letter,) = kafka.wait_for(f"{topics['input_topic']}.dead-letters", 1)
            assert letter.value() == struct.pack(">bI", 0, 55) + one
            assert "starting over" not in service.text()
            assert {token for _, _, token in server.asked} == {"Bearer from a file"}
            server.refuse["/schemas/ids/8"] = Reply(404, b"<html>default backend</html>")
            kafka.send(topics["input_topic"], [_framed(8, b"\2a")])
            assert service.wait(120) == EXIT_BROKER
            assert "GET /schemas/ids/8 answered 404" in service.text().splitlines()[-1]
    assert len(kafka.read(f"{topics['input_topic']}.dead-letters")) == 1
    assert kafka.committed(topics["group"], topics["input_topic"]) == [3]
