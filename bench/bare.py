"""The least that exactly once takes: a loop that copies records in transactions, with our settings and no service.

    python -m bench.bare SERVERS TOPIC OUT

It runs until it is stopped; one partition. `bench latency` compares the service with it.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

BATCH = 1024
PAUSE_S = 0.001
"""After a commit. Its markers are still being written, and librdkafka would have to ask again for a transaction that
begins at once, 20 ms later: three times the latency at 1,000 records a second."""


def main(servers: str, topic: str, out: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": out,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 20,
        }
    )
    producer = Producer({"bootstrap.servers": servers, "transactional.id": out, "linger.ms": 0, "retry.backoff.ms": 10})
    producer.init_transactions(30)
    consumer.subscribe([topic])
    while True:
        first = consumer.poll(1)
        if first is None:
            continue
        producer.begin_transaction()
        for message in [first, *consumer.consume(BATCH - 1, 0)]:
            source = [("scorer-source", b"%s/0/%d" % (topic.encode(), message.offset()))]
            producer.produce(out, message.value(), message.key(), 0, headers=source)
        positions = consumer.position([TopicPartition(topic, 0)])
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
