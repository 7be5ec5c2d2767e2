"""The server of probes: what it answers, and that no client can hold it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time

import pytest

from stream_scorer.parsing.addresses import Address, listen
from stream_scorer.system import http_server
from stream_scorer.system.http_server import Answer, HttpServer

WAIT_S = 30.0
BIG = b"x" * (8 << 20)


def _answer(path: str) -> Answer:
    if path == "/bug":
        raise ZeroDivisionError
    return Answer(200, BIG if path == "/big" else path.encode(), "text/plain")


@pytest.fixture
def port():
    listener = listen(Address("127.0.0.1", 0), "--http")
    number = listener.getsockname()[1]
    server = HttpServer(listener, _answer, "small")
    yield number
    server.close()
    assert not any(thread.name == "small" for thread in threading.enumerate())


def ask(port, method="GET", path="/metrics", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def raw(port, data):
    """All that comes back for these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/metrics", b"/metrics"),
        ("/metrics/", b"/metrics"),
        ("/metrics?a=b/", b"/metrics"),
        ("/metrics/?x", b"/metrics"),
        ("/?q", b"/"),
        ("//", b"/"),
        ("http://host:1/metrics?q", b"/metrics"),
        ("http://host", b"/"),
        ("*", b"/"),
    ],
)
def test_a_query_and_a_slash_at_the_end_change_nothing(port, target, path):
    assert ask(port, path=target)[:2] == (200, path)


def test_head_is_get_without_the_body(port):
    code, body, headers = ask(port, "HEAD")
    assert (code, body, headers["Content-Length"]) == (200, b"", str(len("/metrics")))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW"])
def test_other_methods_are_405(port, method):
    code, _, headers = ask(port, method)
    assert (code, headers["Allow"]) == (405, "GET, HEAD")


def test_every_answer_is_closed_to_pages_of_others_and_says_nothing_of_the_server(port):
    for method, path in (("GET", "/"), ("POST", "/"), ("GET", "/bug")):
        headers = ask(port, method, path, Origin="http://evil.example")[2]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] is None
        assert headers["Access-Control-Allow-Origin"] is None


def test_a_bug_in_an_answer_is_500_and_the_next_is_answered(port):
    assert ask(port, path="/bug")[0] == 500
    assert ask(port)[0] == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\n\n", b"400"),
        (b"GET / HTTP/1.1\n\n", b"200"),
        (b"GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", b"431"),
    ],
)
def test_what_is_no_request_gets_one_answer_and_the_end(port, sent, code):
    answer = raw(port, sent)
    assert answer.split()[1] == code
    assert answer.count(b"HTTP/1.1 ") == 1


def test_silent_clients_cost_no_thread_and_give_way_to_new_ones(port):
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        silent = []
        for at in range(3 * http_server.MAX_CONNECTIONS):
            silent.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)))
            if at % 2:
                silent[-1].sendall(b"GET / HT")
            if at % 50 == 0:
                assert ask(port)[0] == 200
        assert ask(port)[0] == 200
        assert threading.active_count() == threads
        assert silent[0].recv(1) == b"", "the oldest was closed"


def _ended(client):
    """Whether the server closes a connection on which something is sent all the time."""
    for _ in range(int(WAIT_S * 50)):
        try:
            client.sendall(b"G")
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_slow_clients_are_ended_by_time(port, monkeypatch):
    """One that sends its head byte by byte, one that reads nothing of its answer, one that never closes."""
    monkeypatch.setattr(http_server, "REQUEST_S", 0.2)
    monkeypatch.setattr(http_server, "ANSWER_S", 0.2)
    monkeypatch.setattr(http_server, "LAST_S", 0.2)
    with contextlib.ExitStack() as stack:
        slow, deaf, open_ = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)) for _ in range(3)
        )
        deaf.sendall(b"GET /big HTTP/1.1\r\n\r\n")
        open_.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while open_.recv(1 << 16):
            pass
        assert _ended(slow)
        assert _ended(open_)
        got = 0
        with contextlib.suppress(ConnectionError):
            while piece := deaf.recv(1 << 16):
                got += len(piece)
        assert got < len(BIG)


def test_at_the_end_an_answer_under_way_is_given_and_the_port_is_free():
    listener = listen(Address("127.0.0.1", 0), "--http")
    number = listener.getsockname()[1]
    asked, go = threading.Event(), threading.Event()

    def answer(_: str) -> Answer:
        asked.set()
        go.wait(WAIT_S)
        return Answer(200, BIG, "text/plain")

    server = HttpServer(listener, answer, "small")
    with socket.create_connection(("127.0.0.1", number), timeout=WAIT_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert asked.wait(WAIT_S)
        closing = threading.Thread(target=server.close)
        closing.start()
        go.set()
        got = sum(map(len, iter(lambda: client.recv(1 << 20), b"")))
        closing.join(WAIT_S)
    server.close()
    assert got > len(BIG)
    listen(Address("127.0.0.1", number), "--http").close()
