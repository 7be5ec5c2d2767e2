"""Two requests that librdkafka does not have: whose transaction is open on a partition?

For brokers without TLS and SASL only. Nothing here raises: None stands for no answer, or one that cannot be read.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import TypeVar

from stream_scorer.records import Partition

TIMEOUT_S = 2.0
MAX_ANSWER = 4 << 20
_DESCRIBE_PRODUCERS, _LIST_TRANSACTIONS = 61, 66
Address = tuple[str, int]
T = TypeVar("T")


def producer_at(broker: Address, partition: Partition, offset: int) -> int | None:
    """Id of the producer whose open transaction begins at this offset. `broker`: the partition's leader."""
    topic = partition.topic.encode()
    body = b"\x02" + _varint(len(topic) + 1) + topic + b"\x02" + struct.pack(">i", partition.number) + b"\0\0"

    def read(answer: Answer) -> int | None:
        answer.numbers(">i")  # throttle time
        for _ in range(answer.count()):
            answer.text()
            for _ in range(answer.count()):
                answer.numbers(">ih")
                answer.text()
                for _ in range(answer.count()):
                    producer_id, _, _, _, _, start = answer.numbers(">qiiqiq")
                    answer.tags()
                    if start == offset:
                        return producer_id
                answer.tags()
            answer.tags()
        return None

    return _ask(broker, _DESCRIBE_PRODUCERS, body, read)


def transaction_of(brokers: list[Address], producer_id: int) -> tuple[str, str] | None:
    """(transactional id, state) from its coordinator, which is one of the brokers."""
    body = b"\x01\x02" + struct.pack(">q", producer_id) + b"\0"

    def read(answer: Answer) -> tuple[str, str] | None:
        answer.numbers(">ih")
        for _ in range(answer.count()):
            answer.text()  # state filters that the broker does not know
        for _ in range(answer.count()):
            name = answer.text()
            (answered_id,) = answer.numbers(">q")
            state = answer.text()
            answer.tags()
            if answered_id == producer_id:
                return name, state
        return None

    deadline = time.monotonic() + 2 * TIMEOUT_S
    for broker in brokers:
        if time.monotonic() < deadline and (transaction := _ask(broker, _LIST_TRANSACTIONS, body, read)):
            return transaction
    return None


class Answer:
    """Reads the fields of an answer one by one. Raises struct.error, ValueError, IndexError: it cannot be read."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, form: str) -> tuple[int, ...]:
        numbers = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return numbers

    def varint(self) -> int:
        number = shift = 0
        while shift < 35:
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise ValueError("a varint of more than 5 bytes")

    def count(self) -> int:
        """The number of items that follow, each of one byte at least."""
        count = self.varint() - 1
        if count > len(self._data) - self._at:
            raise ValueError(f"{count} items in {len(self._data) - self._at} bytes")
        return count

    def text(self) -> str:
        size = max(0, self.count())
        self._at += size
        return self._data[self._at - size : self._at].decode()

    def tags(self) -> None:
        for _ in range(self.count() + 1):
            self.varint()
            self._at += self.varint()


def _ask(broker: Address, api: int, body: bytes, read: Callable[[Answer], T | None]) -> T | None:
    """Sends version 0 of a request, which has compact fields already, and reads the answer."""
    request = struct.pack(">hhih", api, 0, 1, -1) + b"\0" + body
    deadline = time.monotonic() + TIMEOUT_S
    try:
        with socket.create_connection(broker, TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4, deadline))
            if not 0 < size <= MAX_ANSWER:
                return None
            answer = Answer(_receive(connection, size, deadline))
            answer.numbers(">i")
            answer.tags()
            return read(answer)
    except (OSError, struct.error, ValueError, IndexError):
        return None


def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        more = connection.recv(min(size - len(data), 1 << 16))
        if not more or time.monotonic() > deadline:
            raise OSError("the answer is incomplete")
        data += more
    return bytes(data)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
