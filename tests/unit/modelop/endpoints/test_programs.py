"""Streams of programs and of HTTP: what goes wrong at the other end."""

from __future__ import annotations

import contextlib
import http.server
import os
import resource
import threading
import time

import pytest

from stream_scorer.errors import EndOfInput, TransportError
from stream_scorer.modelop.endpoints.exec import ExecDrain, ExecFeed
from stream_scorer.modelop.endpoints.http import HttpDrain, http_feed


def drain(feed):
    found = b""
    while True:
        try:
            found += b"".join(feed.read(0.5))
        except EndOfInput:
            return found


@pytest.mark.process
def test_a_program_that_fails_is_told_with_its_status():
    feed = ExecFeed(["/bin/sh", "-c", "echo 1; exit 3"])
    with pytest.raises(TransportError, match="'/bin/sh' ended with status 3"):
        drain(feed)
    feed.close()


@pytest.mark.process
def test_a_program_that_does_not_end_is_ended_with_what_it_started():
    feed = ExecFeed(["/bin/sh", "-c", "sleep 60 & echo 1; wait"])
    assert feed.read(5) == [b"1\n"]
    began = time.monotonic()
    feed.close()
    assert time.monotonic() - began < 2


@pytest.mark.process
def test_a_program_that_does_not_read_is_told():
    target = ExecDrain(["/bin/true"])
    time.sleep(0.1)
    with pytest.raises(TransportError, match="does not read its input"):
        target.write([b"x" * 1_000_000])
    target.close()


@pytest.mark.process
def test_a_program_that_fails_at_the_end_of_its_input_is_told():
    target = ExecDrain(["/bin/sh", "-c", "cat > /dev/null; exit 2"])
    target.write([b"1"])
    with pytest.raises(TransportError, match="ended with status 2"):
        target.finish(5)
    target.close()


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/moved":
                self._answer(302, {"Location": "/here", "Content-Length": "0"})
            elif self.path == "/here":  # a server without ranges
                self._answer(200, {"Content-Length": "6"}, b"1\n2\n3\n")
            elif self.path == "/short":
                self._answer(200, {"Content-Length": "60", "Connection": "close"}, b"1\n")
                self.close_connection = True
            elif self.path == "/slow":
                self._answer(200, {"Content-Length": "60"}, b"1\n")
                time.sleep(1)
                self.close_connection = True
            else:
                self._answer(404, {"Content-Length": "0"})

        def do_POST(self):
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size)
                self.rfile.readline()
            self._answer(500, {"Content-Length": "0"})

        def _answer(self, status, headers, body=b""):
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    thread.join()
    found.server_close()


def test_a_redirect_is_followed_and_bytes_skipped_where_the_server_cannot(server):
    feed = http_feed(f"{server}/moved", chunked=False, skip_to=2)
    assert drain(feed) == b"2\n3\n"
    feed.close()


@pytest.mark.parametrize(
    ("path", "chunked", "text"), [("/gone", False, "answered 404"), ("/here", True, "not in chunks")]
)
def test_an_answer_that_is_no_stream_is_told(server, path, chunked, text):
    with pytest.raises(TransportError, match=text):
        http_feed(server + path, chunked=chunked, skip_to=0)


def test_an_answer_that_breaks_off_is_told(server):
    feed = http_feed(f"{server}/short", chunked=False, skip_to=0)
    with pytest.raises(TransportError, match=r"broke off|IncompleteRead"):
        drain(feed)
    feed.close()


def test_a_slow_answer_is_read_as_it_comes_and_may_be_closed(server):
    feed = http_feed(f"{server}/slow", chunked=False, skip_to=0)
    assert feed.read(0.8) == [b"1\n"]
    assert feed.read(0.05) == []
    began = time.monotonic()
    feed.close()
    assert time.monotonic() - began < 0.5


def test_a_server_that_refuses_what_was_written_is_told(server):
    target = HttpDrain(f"{server}/x")
    target.write([b"1"])
    with pytest.raises(TransportError, match="answered 500"):
        target.finish(3)


@pytest.mark.process
def test_a_program_is_read_through_a_descriptor_that_select_cannot_take():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while (opened := os.open(os.devnull, os.O_RDONLY)) < 1024:
            stack.callback(os.close, opened)
        stack.callback(os.close, opened)
        feed = ExecFeed(["/bin/echo", "1"])
        assert drain(feed) == b"1\n"
        feed.close()
