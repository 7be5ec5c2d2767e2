"""A server that is just starting is waited for; one that is away is not, for long."""

from __future__ import annotations

import http.server
import socket
import struct
import threading

import pytest

from stream_scorer.errors import Unavailable
from stream_scorer.modelop.client import http as client


class _Says204(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    """A server that has its port and refuses connections until it is activated."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Says204, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


def test_the_first_request_waits_until_the_server_serves(port, monkeypatch):
    tries = []

    def serve_at_the_third(seconds):
        tries.append(seconds)
        if len(tries) == 3:
            port.server_activate()
            threading.Thread(target=port.handle_request).start()

    monkeypatch.setattr(client.time, "sleep", serve_at_the_third)
    server = client.Server(f"http://127.0.0.1:{port.server_address[1]}", wait_s=60)
    assert server.request("GET", "/").status == 204
    assert len(tries) == 3


def test_without_a_wait_a_refusal_is_said_at_once(port, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(Unavailable, match="no answer"):
        client.Server(f"http://127.0.0.1:{port.server_address[1]}").request("GET", "/")


def test_who_has_answered_once_is_not_waited_for(port, monkeypatch):
    port.server_activate()
    answering = threading.Thread(target=port.handle_request)
    answering.start()
    server = client.Server(f"http://127.0.0.1:{port.server_address[1]}", wait_s=60)
    assert server.request("GET", "/").status == 204
    answering.join()
    port.server_close()
    server.close()
    monkeypatch.setattr(client.time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(Unavailable, match="no answer"):
        server.request("GET", "/")


def test_a_refusal_that_comes_before_the_body_is_sent_is_read():
    """As of an attachment that is larger than the server takes: it answers, drops some megabytes, and hangs up."""

    def refuse(listener):
        taken, _ = listener.accept()
        taken.recv(1000)
        taken.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nsize")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        taken.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        server = client.Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
        answer = server.request("PUT", "/", bytes(32 << 20))
        server.close()
        thread.join()
    assert (answer.status, answer.body) == (413, b"size")
