"""The transports behind one face: records in, a pair of ports, and what a committed reader then sees."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.routes import Routes
from stream_scorer.kafka.sink import AckingSink, TransactionalSink
from stream_scorer.kafka.source import KafkaSource
from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.ports import Sink, Source
from stream_scorer.records import Partition, Record, StartPosition
from stream_scorer.service.memory import MemoryLog, MemorySink, MemorySource
from support.kafka import Kafka


class Features(NamedTuple):
    """What a transport can do. The suite tests that it cannot do what it says it cannot.

    transactional: what is aborted is never seen. replayable: records come again after `rewind`.
    finite: EndOfInput at the end. keyed: records have keys, timestamps, null values and partitions,
    and a reject keeps them.
    """

    transactional: bool = True
    replayable: bool = True
    finite: bool = True
    keyed: bool = True


class Seen(NamedTuple):
    """A record as a committed reader sees it."""

    key: bytes | None
    value: bytes | None
    timestamp: int | None


class Memory:
    features = Features()

    def __init__(self) -> None:
        self._log = MemoryLog()

    def open(self, records: list[Record]) -> tuple[Source, Sink]:
        return MemorySource(self._log, records), MemorySink(self._log)

    def outputs(self) -> list[Seen]:
        outputs = sorted(self._log.outputs, key=lambda out: out.source.partition)
        return [Seen(out.source.key, out.value, out.source.timestamp) for out in outputs]

    def rejects(self) -> list[Seen]:
        return [Seen(one.source.key, one.source.value, one.source.timestamp) for one in self._log.rejects]

    def close(self) -> None:
        pass


class KafkaTopics:
    """Two partitions in, two out. With `exactly_once` the sink is the transactional one."""

    def __init__(self, kafka: Kafka, name: Callable[[str], str], *, exactly_once: bool) -> None:
        self.features = Features(transactional=exactly_once)
        self._kafka = kafka
        self._exactly_once = exactly_once
        self._group, self._id = name("group"), name("id")
        self._in, self._out, self._dead = (
            kafka.create(name(what), 2, retention_ms="-1") for what in ("in", "out", "dead")
        )
        self._opened: list[Any] = []

    def open(self, records: list[Record]) -> tuple[Source, Sink]:
        self._kafka.send(
            self._in,
            [
                {
                    "key": record.key,
                    "value": record.value,
                    "partition": record.partition.number,
                    "timestamp": record.timestamp,
                }
                for record in records
            ],
        )
        servers = self._kafka.servers
        source = KafkaSource(
            kafka_config.consumer(servers, self._group, {}),
            [self._in],
            ids=TopicIds(kafka_config.common(servers, {})),
            begin=lambda _, committed, *__: StartPosition(committed.offset if committed else 0, saved=True),
            dropped=lambda _: None,
            until_end=True,
        )
        routes = Routes({1: self._out}, "toy@00", dead_letters=self._dead)
        sink: TransactionalSink | AckingSink
        if self._exactly_once:
            properties = kafka_config.transactional_producer(servers, self._id, {})
            sink = TransactionalSink(properties, routes, None, source.group_metadata, source.offsets)
        else:
            sink = AckingSink(kafka_config.producer(servers, {}), routes, None, source.commit)
        self._opened += [sink, source]
        return source, sink

    def outputs(self) -> list[Seen]:
        return self._read(self._out)

    def rejects(self) -> list[Seen]:
        return self._read(self._dead)

    def _read(self, topic: str) -> list[Seen]:
        return [Seen(one.key(), one.value(), one.timestamp()[1]) for one in self._kafka.read(topic)]

    def close(self) -> None:
        for one in self._opened:
            with contextlib.suppress(RuntimeError):
                one.close()


Transport = Memory | KafkaTopics


def record(number: int, offset: int, value: bytes | None, timestamp: int | None = None) -> Record:
    when = 1_700_000_000_000 + offset if timestamp is None else timestamp
    return Record(Partition("in", number), offset, b"k%d" % number, value, when, None)


def take(source: Source, count: int, limit: int = 100, seconds: float = 30) -> list[Record]:
    """Poll until so many records have come; no poll may give more than `limit`."""
    found: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        records = source.poll(min(limit, count - len(found)), 0.2)
        assert len(records) <= limit
        found += records
    assert len(found) == count, f"{len(found)} of {count} records in {seconds} s"
    return found
