"""A broker inside this process: librdkafka's mock cluster. For the demo and plumbing tests only.

It speaks Kafka's protocol on a loopback port, in memory, and is not faithful: it shows aborted records
to read-committed readers, does not store offsets sent in a transaction and fences nobody. It proves
nothing about exactly-once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from confluent_kafka import Producer

from stream_scorer.kafka.clients import open_client


@contextlib.contextmanager
def embedded_broker(*topics: str) -> Iterator[str]:
    """Bootstrap servers of a broker that runs as long as the block, with these topics of four partitions each."""
    cluster = open_client(Producer, {"bootstrap.servers": "embedded", "test.mock.num.brokers": 1})
    for topic in topics:
        cluster.list_topics(topic, timeout=10)  # a request for its metadata creates it
    brokers = cluster.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    cluster.flush(1)
