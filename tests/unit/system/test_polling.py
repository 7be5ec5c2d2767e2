"""Waiting for descriptors, with numbers that select() cannot take too."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time

import pytest

from stream_scorer.errors import EndOfInput
from stream_scorer.modelop.endpoints.file_descriptors import LinesFeed
from stream_scorer.modelop.endpoints.local import FileDrain, FileFeed
from stream_scorer.modelop.endpoints.net import TcpFeed, UdpFeed
from stream_scorer.system.polling import wait_readable, wait_writable

LIMIT_OF_SELECT = 1024


@pytest.fixture
def high_descriptors():
    """Every descriptor that is opened in the test is above 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * LIMIT_OF_SELECT:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * LIMIT_OF_SELECT), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        last = -1
        while last < LIMIT_OF_SELECT:
            last = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, last)
        yield


@pytest.fixture
def pipe(high_descriptors):
    reading, writing = os.pipe()
    assert min(reading, writing) > LIMIT_OF_SELECT
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        yield reader, writer


def test_a_read_is_waited_for_and_the_end_of_input_counts(pipe):
    reader, writer = pipe
    assert not wait_readable(reader, 0)
    threading.Timer(0.05, writer.write, [b"x"]).start()
    assert wait_readable(reader.fileno(), 30)
    assert reader.read(1) == b"x"
    writer.close()
    assert wait_readable(reader, 0)


def test_a_write_is_waited_for(pipe):
    reader, writer = pipe
    os.set_blocking(writer.fileno(), False)
    while wait_writable(writer, 0):
        writer.write(bytes(1 << 16))
    began = time.monotonic()
    assert not wait_writable(writer, 0.05)
    assert time.monotonic() - began >= 0.04
    os.read(reader.fileno(), 1 << 20)
    assert wait_writable(writer, 30)


def test_a_negative_time_does_not_wait(pipe):
    assert not wait_readable(pipe[0], -1)


def test_lines_come_through_a_high_descriptor(pipe):
    reader, writer = pipe
    feed = LinesFeed(reader.fileno())
    assert feed.read(0) == []
    writer.write(b"1\n")
    assert feed.read(30) == [b"1\n"]
    writer.close()
    with pytest.raises(EndOfInput):
        feed.read(30)


def test_files_are_read_and_written_through_high_descriptors(high_descriptors, tmp_path):
    path = str(tmp_path / "records")
    drain = FileDrain(path)
    drain.write([b"1\n"])
    drain.close()
    feed = FileFeed(path, 0)
    assert feed.read(30) == [b"1\n"]
    feed.close()


def test_sockets_are_read_through_high_descriptors(high_descriptors):
    with socket.create_server(("127.0.0.1", 0)) as server:
        tcp = TcpFeed(*server.getsockname())
        peer, _ = server.accept()
        with peer:
            assert tcp.read(0) == []
            peer.sendall(b"1")
            assert tcp.read(30) == [b"1"]
        tcp.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        port = sender.getsockname()[1]
    udp = UdpFeed("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"2", ("127.0.0.1", port))
    assert udp.read(30) == [b"2"]
    udp.close()
