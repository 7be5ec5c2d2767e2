"""Two requests that librdkafka does not have, by hand: whose transaction is open on a partition.

For a broker without TLS and SASL only. Nothing here raises: where no answer comes, or one that is none, it is None.
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
        answer.numbers(">i")  # throttled for so long
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
    """(transactional id, state) as the coordinator has it, whichever of the brokers that is."""
    body = b"\x01\x02" + struct.pack(">q", producer_id) + b"\0"

    def read(answer: Answer) -> tuple[str, str] | None:
        answer.numbers(">ih")
        for _ in range(answer.count()):
            answer.text()  # states it does not know
        for _ in range(answer.count()):
            name = answer.text()
            (found,) = answer.numbers(">q")
            state = answer.text()
            answer.tags()
            if found == producer_id:
                return name, state
        return None

    deadline = time.monotonic() + 2 * TIMEOUT_S
    for broker in brokers:
        if time.monotonic() < deadline and (found := _ask(broker, _LIST_TRANSACTIONS, body, read)):
            return found
    return None


class Answer:
    """The fields of an answer one by one. Raises struct.error, ValueError, IndexError on what is none."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

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
        """Of the items that follow: each has a byte at least."""
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
    """Version 0 of a request whose first version has compact fields already."""
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
            raise OSError("no whole answer")
        data += more
    return bytes(data)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
