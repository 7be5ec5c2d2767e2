"""The least that a Python loop does for exactly-once: poll, produce with key, timestamp and two headers, commit.

It has no model and no state: the cost of confluent-kafka alone, with the service's settings.
"""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.peers.programs.lane import task

BATCH = 10_000  # as the service's default


class CopyLoop:
    """Copies partition 0 of a topic. The name of the output topic is also the group and the transactional id."""

    def __init__(self, servers: str, source: str, target: str) -> None:
        self._source, self._target = source, target
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": target,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 20,
            }
        )
        self._producer = Producer(
            {"bootstrap.servers": servers, "transactional.id": target, "linger.ms": 5, "retry.backoff.ms": 10}
        )
        self._producer.init_transactions(30)
        self._consumer.subscribe([source])
        self._headers = (f"{source}/0/".encode(), ("scorer-model", b"copy@" + b"0" * 64))

    def turn(self, seconds: float = 1) -> int:
        """Copy in one transaction: the number of records, 0 if none came within `seconds`."""
        first = self._consumer.poll(seconds)
        if first is None:
            return 0
        produce, target = self._producer.produce, self._target
        place, model = self._headers
        self._producer.begin_transaction()
        messages = [first, *self._consumer.consume(BATCH - 1, 0)]
        for message in messages:
            headers = [("scorer-source", b"%s%d" % (place, message.offset())), model]
            produce(target, message.value(), message.key(), 0, timestamp=message.timestamp()[1], headers=headers)
        positions = self._consumer.position([TopicPartition(self._source, 0)])
        self._producer.send_offsets_to_transaction(positions, self._consumer.consumer_group_metadata(), 30)
        self._producer.commit_transaction(30)
        return len(messages)

    def close(self) -> None:
        self._consumer.close()


if __name__ == "__main__":
    loop = CopyLoop(task().servers, task().source, task().target)
    while True:
        loop.turn()
