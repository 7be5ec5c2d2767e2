"""Requests by hand: what is no answer is None, soon, and never an exception."""

import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.kafka import raw_requests as kafka_raw
from stream_scorer.records import Partition

PLACE = Partition("scores", 3)


class Broker:
    """Answers each connection with the same bytes, whatever it is asked; what it was asked is kept."""

    def __init__(self, answer, every_s=0.0):
        self.asked = []
        self._answer, self._every_s = answer, every_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(1000))
                try:
                    for at in range(0, len(self._answer), 1 if self._every_s else 1 << 20):
                        connection.sendall(self._answer[at : at + 1] if self._every_s else self._answer)
                        time.sleep(self._every_s)
                except OSError:
                    pass

    def close(self):
        self._listener.close()


@pytest.fixture
def broker():
    made = []

    def make(answer, **options):
        made.append(Broker(answer, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def framed(body):
    answer = struct.pack(">i", 1) + b"\0" + body
    return struct.pack(">i", len(answer)) + answer


def producers(*them, error=0):
    listed = b"".join(struct.pack(">qiiqiq", number, 0, 5, 1_000, 0, start) + b"\0" for number, start in them)
    return framed(
        struct.pack(">i", 0)
        + b"\x02\x07scores\x02"
        + struct.pack(">ih", 3, error)
        + b"\0"
        + bytes([len(them) + 1])
        + listed
        + b"\0\0\0"
    )


def transactions(*them):
    listed = b"".join(
        bytes([len(name) + 1]) + name + struct.pack(">q", number) + bytes([len(state) + 1]) + state + b"\0"
        for name, number, state in them
    )
    return framed(struct.pack(">ih", 0, 0) + b"\x01" + bytes([len(them) + 1]) + listed + b"\0")


def test_the_producer_whose_transaction_begins_there(broker):
    one = broker(producers((7, -1), (8, 40), (9, 12)))
    assert kafka_raw.producer_at(one.address, PLACE, 12) == 9
    assert kafka_raw.producer_at(one.address, PLACE, 13) is None
    assert b"scores" in one.asked[0]


def test_what_the_coordinator_says_of_it_whichever_broker_that_is(broker):
    other, coordinator = broker(transactions()), broker(transactions((b"a", 7, b"Ongoing"), (b"b", 9, b"Empty")))
    gone = socket.create_server(("127.0.0.1", 0))
    gone.close()
    assert kafka_raw.transaction_of([other.address, coordinator.address], 9) == ("b", "Empty")
    assert kafka_raw.transaction_of([other.address], 9) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        struct.pack(">i", -1),
        struct.pack(">i", kafka_raw.MAX_ANSWER + 1) + b"x" * 1000,
        struct.pack(">i", 1 << 30),
        framed(b""),
        framed(b"\0\0\0\0" + b"\xff" * 9),
        framed(b"\0\0\0\0" + b"\xff\xff\xff\xff\x07"),
        producers(error=29),
    ],
)
def test_what_is_no_answer_is_none(broker, answer):
    one = broker(answer)
    assert kafka_raw.producer_at(one.address, PLACE, 12) is None
    assert kafka_raw.transaction_of([one.address], 9) is None


def test_a_broker_that_says_a_byte_now_and_then_is_not_waited_for(broker, monkeypatch):
    monkeypatch.setattr(kafka_raw, "TIMEOUT_S", 0.2)
    one = broker(producers((9, 12)), every_s=0.1)
    began = time.monotonic()
    assert kafka_raw.producer_at(one.address, PLACE, 12) is None
    assert time.monotonic() - began < 2


@given(st.binary(max_size=200), st.integers(0, 200), st.binary(max_size=4))
def test_any_bytes_end_in_an_answer_or_none(data, at, noise):
    """Of nothing but the reader: bytes of any kind, and good answers with a few bytes changed."""
    good = producers((7, -1), (9, 12))[4:]
    for body in (data, good[:at] + noise + good[at + len(noise) :]):
        answer = kafka_raw.Answer(body)
        try:
            answer.numbers(">i")
            answer.tags()
            for _ in range(answer.count()):
                answer.text()
        except (struct.error, ValueError, IndexError):
            pass
