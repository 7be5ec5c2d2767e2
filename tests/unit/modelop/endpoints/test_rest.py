"""REST queues: bounds, ends, and who waits for whom."""

from __future__ import annotations

import threading
import time

import pytest

from stream_scorer.errors import EndOfInput, TransportError, Unavailable
from stream_scorer.modelop.endpoints import rest as stream_rest
from stream_scorer.modelop.endpoints.rest import RestDrain, RestFeed


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(stream_rest, "MAX_BYTES", 10)
    monkeypatch.setattr(stream_rest, "POST_TIMEOUT_S", 0.05)


def test_a_full_input_refuses_and_takes_again():
    feed = RestFeed()
    feed.post(b"12345678")
    with pytest.raises(Unavailable, match="the input is full"):
        feed.post(b"123")
    assert feed.read(0) == [b"12345678"]
    feed.post(b"123")


def test_a_piece_larger_than_all_goes_in_alone():
    feed = RestFeed()
    feed.post(b"x" * 100)
    assert feed.read(0) == [b"x" * 100]


def test_who_writes_waits_for_who_reads():
    drain = RestDrain(chunked=False)
    pieces = [b"%08d" % number for number in range(50)]
    writer = threading.Thread(target=drain.write, args=(pieces,))
    writer.start()
    assert [drain.take(5) for _ in pieces] == pieces
    writer.join(5)
    assert drain.take(0.01) is None


def test_what_is_written_outlives_the_end():
    drain = RestDrain(chunked=False)
    drain.write([b"1", b"2"])
    drain.finish(3)
    assert [drain.take(0), drain.take(0)] == [b"1", b"2"]
    with pytest.raises(EndOfInput):
        drain.take(0)


def test_chunked_gives_all_that_is_there():
    drain = RestDrain(chunked=True)
    drain.write([b"1\n", b"2\n"])
    assert drain.take(0) == b"1\n2\n"


def test_close_unblocks_who_writes_and_who_reads():
    drain = RestDrain(chunked=False)
    caught = []

    def write():
        try:
            drain.write([b"x" * 9] * 5)
        except TransportError as error:
            caught.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    drain.close()
    writer.join(5)
    assert len(caught) == 1
    with pytest.raises(EndOfInput):
        drain.take(5)
