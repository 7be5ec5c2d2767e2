"""What is found out of TLS and SASL without a broker; with one: tests/integration/test_secured.py."""

from __future__ import annotations

import socket
import threading

import pytest

from stream_scorer.kafka.connection_errors import ConnectionErrors, KafkaError
from stream_scorer.kafka.diagnosis import explain
from tests.support.certificates import Authority

ALERT = "b:1: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42"


def test_our_certificate_is_looked_at(tmp_path):
    ca = Authority(tmp_path, "ca")
    ca.sign("mine")
    ca.sign("old", expired=True)
    (tmp_path / "no.pem").write_text("no certificate")

    def told(name):
        return explain(ALERT, "b:1", {"ssl.certificate.location": str(tmp_path / name)} if name else {})

    assert "none is given" in told("")
    assert "old.pem has expired on 20" in told("old.pem")
    for name in ("mine.pem", "no.pem", "gone.pem"):
        assert "it is signed by no CA that the broker trusts" in told(name)


@pytest.mark.parametrize("servers", ["", ":", "b:", "b:x", "[::1]:99999", "SSL://127.0.0.1:9,b:2", ",,", "127.0.0.1:9"])
def test_of_an_address_that_does_not_answer_nothing_is_told(servers):
    verify = "certificate verify failed"
    for problem in (verify, f"127.0.0.1:9: {verify}", "Disconnected"):
        assert explain(problem, servers.replace("b", "127.0.0.1"), {}) is None


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x04abcd", b"\x7f\xff\xff\xffx"]
)
def test_another_program_at_the_port_is_no_listener(answer):
    """It is not taken for one, whatever it answers, and it cannot hold the command up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        advice = explain("Disconnected", f"127.0.0.1:{server.getsockname()[1]}", {})
        thread.join()
    assert advice is None or (answer.endswith(b"abcd") and "wants SASL" in advice)


def test_the_reason_is_found_out_once_and_stays(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "stream_scorer.kafka.connection_errors.explain", lambda problem, *_: asked.append(problem) or "It is X."
    )
    errors = ConnectionErrors()
    errors.ask({"bootstrap.servers": "b:1"})
    said = "ssl://b:1/1: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, x"
    for _ in range(2):
        errors.add(KafkaError(KafkaError._SSL, said))
        errors.ask({"bootstrap.servers": "b:1"})
        assert errors.text() == "b:1: error:0A000086:SSL routines::certificate verify failed. It is X."
        assert errors.permanent
    assert len(asked) == 1
