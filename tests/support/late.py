"""Late requests of a transactional producer, written by hand: no client sends them on purpose.

The coordinator does not know such a transaction, so nobody ends it: it hangs. Only a broker with
`transaction.partition.verification.enable=false` accepts the requests.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, Producer, TopicPartition

from stream_scorer.records import Partition

PRODUCE, FIND_COORDINATOR, INIT_PRODUCER_ID, TXN_OFFSET_COMMIT = 0, 10, 22, 28
OF_GROUP, OF_TRANSACTION = 0, 1


class LateProducer:
    """Has the producer id and the epoch that a producer of `transactional_id` would get now.

    A real producer of this id that starts later fences it; what it has sent before then hangs.
    """

    def __init__(self, servers: str, transactional_id: str) -> None:
        host, _, port = servers.rpartition(":")
        self._address = (host, int(port))
        self.transactional_id = transactional_id
        self._find_coordinator(transactional_id, OF_TRANSACTION)
        body = _string(transactional_id) + struct.pack(">i", 10_000)
        _, self.producer_id, self._epoch = self._until_ready(INIT_PRODUCER_ID, 1, body, ">hqh", 4)
        self._next: dict[tuple[str, int], int] = {}

    def produce(self, topic: str, partition: int, *records: tuple[bytes, bytes]) -> int:
        """Send (key, value) pairs in an open transaction unknown to the coordinator; the offset of the first."""
        sequence = self._next.get((topic, partition), 0)
        self._next[topic, partition] = sequence + len(records)
        batch = _batch(records, self.producer_id, self._epoch, sequence)
        body = _string(self.transactional_id) + struct.pack(">hii", -1, 10_000, 1) + _string(topic)
        body += struct.pack(">iii", 1, partition, len(batch)) + batch
        _, offset = self._until_ready(PRODUCE, 3, body, ">hq", 4 + 2 + len(topic) + 4 + 4)
        return offset

    def commit_offset(self, group: str, topic: str, partition: int, offset: int) -> None:
        """Leave an offset of the group pending in `__consumer_offsets` for ever."""
        self._find_coordinator(group, OF_GROUP)
        body = _string(self.transactional_id) + _string(group) + struct.pack(">qhi", self.producer_id, self._epoch, 1)
        body += _string(topic) + struct.pack(">iiqih", 1, partition, offset, -1, -1)
        self._until_ready(TXN_OFFSET_COMMIT, 2, body, ">h", 4 + 4 + 2 + len(topic) + 4 + 4)

    def end(self, partition: Partition, group: str) -> None:
        """End what hangs there and in `__consumer_offsets`: left open, it would hold back the groups of other tests."""
        producer = Producer(
            {
                "bootstrap.servers": ":".join(map(str, self._address)),
                "transactional.id": self.transactional_id,
                "log_level": 0,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(partition.topic, b"probe", partition=partition.number)
        members = Consumer({"bootstrap.servers": ":".join(map(str, self._address)), "group.id": group})
        try:
            position = TopicPartition(*partition, 0)
            producer.send_offsets_to_transaction([position], members.consumer_group_metadata(), 30)
        finally:
            members.close()
        producer.abort_transaction(30)

    def _find_coordinator(self, name: str, kind: int) -> None:
        """The first request makes the broker create its internal topic."""
        self._until_ready(FIND_COORDINATOR, 1, _string(name) + struct.pack(">b", kind), ">h", 4)

    def _until_ready(self, api: int, version: int, body: bytes, answer: str, at: int) -> tuple[int, ...]:
        """The fields of the answer, first its error code. Asks again while a leader or coordinator is being elected."""
        deadline = time.monotonic() + 90
        while True:
            fields = struct.unpack_from(answer, self._ask(api, version, body), at)
            if fields[0] == 0:
                return fields
            assert time.monotonic() < deadline, (
                f"API {api}: error {fields[0]}; is transaction.partition.verification.enable=false?"
            )
            time.sleep(0.05)

    def _ask(self, api: int, version: int, body: bytes) -> bytes:
        request = struct.pack(">hhi", api, version, 1) + _string("late") + body
        with socket.create_connection(self._address, 10) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _read(connection, 4))
            return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, "the broker hung up: a request it does not understand"
        data += more
    return data


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _varint(number: int) -> bytes:
    number, out = (number << 1) ^ (number >> 63), b""
    while number > 0x7F:
        number, out = number >> 7, out + bytes([number & 0x7F | 0x80])
    return out + bytes([number])


def _batch(records: Sequence[tuple[bytes, bytes]], producer_id: int, epoch: int, sequence: int) -> bytes:
    """A record batch of magic 2 within a transaction."""
    packed = b""
    for number, (key, value) in enumerate(records):
        record = b"\0\0" + _varint(number) + _varint(len(key)) + key + _varint(len(value)) + value + b"\0"
        packed += _varint(len(record)) + record
    now = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0x10, len(records) - 1, now, now, producer_id, epoch, sequence, len(records))
    tail += packed
    body = struct.pack(">ibI", 0, 2, _crc32c(tail)) + tail
    return struct.pack(">qi", 0, len(body)) + body


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
