"""A consumer of librdkafka as a script: its messages and its answers."""

from __future__ import annotations

from types import SimpleNamespace

from confluent_kafka import KafkaError, TopicPartition


class Fetched:
    """A message as `Consumer.poll` returns it."""

    def __init__(self, partition, offset, error=None, key=None, value=b"1", timestamp=0):
        self._partition, self._offset, self._error = partition, offset, error
        self._key, self._value, self._timestamp = key, value, timestamp

    def topic(self):
        return self._partition.topic

    def partition(self):
        return self._partition.number

    def offset(self):
        return self._offset

    def error(self):
        return self._error

    def key(self):
        return self._key

    def value(self):
        return self._value

    def timestamp(self):
        return 1, self._timestamp

    def headers(self):
        return None


def eof(partition, offset):
    """The event at the end of a partition. `offset`: the next record's."""
    return Fetched(partition, offset, KafkaError(KafkaError._PARTITION_EOF))


def answer(partition, offset, error=None, metadata=None):
    """A TopicPartition of an answer; in confluent_kafka's own class the error cannot be set."""
    return SimpleNamespace(
        topic=partition.topic, partition=partition.number, offset=offset, error=error, metadata=metadata
    )


class Script:
    """Returns its batches one after the other, then nothing. `clock` moves on while a caller waits.

    bounds: the watermark offsets of each partition, or the error that is raised. times: the offset for any time.
    """

    def __init__(self, *batches, clock=None):
        self._batches = [list(batch) for batch in batches]
        self._clock = clock
        self._ready = []
        self.bounds = (0, 0)
        self.times = 0
        self.partitions = {}
        self.assigned: list[TopicPartition] = []
        self.closed = False
        self.on_poll = lambda _: None

    def poll(self, timeout):
        self.on_poll(self)
        if not self._ready and self._batches:
            self._ready = self._batches.pop(0)
        if self._clock is not None:
            self._clock.now += timeout / 10 if self._ready else timeout
        return self._ready.pop(0) if self._ready else None

    def consume(self, count, timeout):
        messages, self._ready = self._ready[:count], self._ready[count:]
        return messages

    def assign(self, places):
        self.assigned = places

    def close(self):
        self.closed = True

    def list_topics(self, topic, timeout):
        known = SimpleNamespace(error=None, partitions=dict.fromkeys(self.partitions[topic]))
        return SimpleNamespace(topics={topic: known}, brokers={1: None}, cluster_id="")

    def get_watermark_offsets(self, place, timeout):
        if isinstance(self.bounds, Exception):
            raise self.bounds
        return self.bounds

    def offsets_for_times(self, places, timeout):
        return [TopicPartition(at.topic, at.partition, self.times) for at in places]
