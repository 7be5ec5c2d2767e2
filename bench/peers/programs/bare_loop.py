"""The seed's way: a bare confluent-kafka loop, a record at a time, at least once.

Poll, compute, produce; when the broker has taken a score, its input's offset is stored, and librdkafka
commits what is stored every 5 s. The lstm is the seed's own graph, one `Session.run` per record, in the
TensorFlow the service runs on and on one thread (more of them cost CPU and gain nothing here); the mean is a
sum over a list. Windows are in memory only: after a crash they begin anew. Nothing of the engine is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Message, Producer

from bench.peers.programs.lane import STEPS, decode, encode, push, task


def main() -> None:
    it = task()
    score = _score(it.job)
    consumer = Consumer(
        {
            "bootstrap.servers": it.servers,
            "group.id": it.group,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.offset.store": False,
        }
    )
    producer = Producer({"bootstrap.servers": it.servers})
    consumer.subscribe([it.source])
    windows: dict[bytes | None, list[float]] = defaultdict(list)
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            producer.poll(0)
            continue
        window = windows[message.key()] = push(windows[message.key()], decode(message.value()))
        if len(window) == STEPS:

            def delivered(error: KafkaError | None, _: Message, source: Message = message) -> None:
                if error is None:
                    consumer.store_offsets(source)

            producer.produce(it.target, encode(score(window)), message.key(), on_delivery=delivered)
        producer.poll(0)


def _score(job: str) -> Callable[[list[float]], float]:
    if job == "mean":
        return lambda window: sum(window) / STEPS
    from bench.seed_graph import SeedGraph, load_weights

    return SeedGraph(load_weights(), threads=1).score


if __name__ == "__main__":
    main()
