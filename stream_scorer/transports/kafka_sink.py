"""Scores onto Kafka topics: in a transaction with the input positions, or at least once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition

from stream_scorer.errors import CommitAborted, Unavailable
from stream_scorer.records import Headers, Outgoing, Partition, Reject, Snapshot
from stream_scorer.state.snapshots import POSITION_KEY, SnapshotWriter
from stream_scorer.transports.kafka_config import Properties, open_client, stamp
from stream_scorer.transports.kafka_errors import classify
from stream_scorer.transports.kafka_hanging import Probe
from stream_scorer.transports.kafka_retention import RetentionWatch

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
STOP_S = 3.0
"""Patience of a call once the service was asked to stop."""
AT_ONCE_S = 1.0
"""No call into librdkafka lasts longer, so that a stop request is noticed."""
OFFSETS_S = 5.0
"""But this one: a timeout of it aborts the transaction."""

Changelog = tuple[str, SnapshotWriter]
Addressed = tuple[str, bytes | None, bytes | None, int, int, Headers]
"""Topic, value, key, partition (-1: the key chooses), timestamp in ms (0: now), headers."""


class Routes:
    """Which topic and partition an output goes to, and with which headers.

    Args:
        topics: topic of each output slot.
        model: `name@sha256`, the value of the `scorer-model` header.
        keep_partition: write to the input's partition number; else let the key choose.
        pass_headers: hand on all headers of the input; `traceparent` is handed on in any case.
        dead_letters: topic for rejects, or None to drop them (they are logged).
        watch: is shown each batch and each reject that is sent.
    """

    def __init__(
        self,
        topics: Mapping[int, str],
        model: str,
        *,
        keep_partition: bool = True,
        pass_headers: bool = False,
        dead_letters: str | None = None,
        group: str = "",
        watch: RetentionWatch | None = None,
    ) -> None:
        self.watch = watch or RetentionWatch([], "")
        self.topics = dict(topics)
        self.dead_letters = dead_letters
        self._model = ("scorer-model", model.encode())
        self._keep_partition = keep_partition
        self._pass_headers = pass_headers
        self._group = group

    def address(self, outs: Iterable[Outgoing]) -> Iterator[Addressed]:
        """Each output as the producer takes it. One call for many: it is run through for every score there is."""
        topics, keep_partition, model = self.topics, self._keep_partition, self._model
        known: Partition | None = None  # most have the partition of the one before
        prefix = b""
        for slot, (partition, offset, key, _, timestamp, given), value in outs:
            if partition is not known:
                known, prefix = partition, b"%s/%d/" % (partition.topic.encode(), partition.number)
            headers: Headers = [("scorer-source", b"%s%d" % (prefix, offset)), model]
            if given:
                headers = [header for header in given if self._pass_headers or header[0] == "traceparent"] + headers
            yield (
                topics[slot],
                value,
                key,
                partition[1] if keep_partition else -1,
                timestamp or stamp(timestamp),
                headers,
            )

    def reject_headers(self, reject: Reject) -> Headers:
        """The input's own headers, Kafka Streams' standard error headers, and ours."""
        source = reject.source
        text = {
            "__streams.errors.exception": reject.error,
            "__streams.errors.message": reject.message,
            "__streams.errors.stacktrace": reject.stacktrace,
            "__streams.errors.topic": source.partition.topic,
            "__streams.errors.partition": str(source.partition.number),
            "__streams.errors.offset": str(source.offset),
            "__scorer.stage": reject.stage,
            "__scorer.model": self._model[1].decode(),
            "__scorer.group": self._group,
        }
        # JSON may carry half a surrogate pair, and a model may raise with it.
        ours: Headers = [(key, value.encode(errors="backslashreplace")) for key, value in text.items()]
        return [*(source.headers or []), *ours]


class _Sink:
    """What both sinks share: queueing records on a producer.

    Args:
        changelog: (topic, writer) for session state, or None when there is none to keep.
    """

    def __init__(self, properties: Properties, routes: Routes, changelog: Changelog | None) -> None:
        self._properties = properties
        self._routes = routes
        self._changelog = changelog
        self._producer = open_client(Producer, properties)

    def send(self, outs: Sequence[Outgoing]) -> None:
        self._routes.watch.sent(outs)
        produce = self._producer.produce
        for topic, value, key, partition, timestamp, headers in self._routes.address(outs):
            try:
                produce(topic, value, key, partition, None, None, timestamp, headers)
            except (BufferError, KafkaException):
                self._produce(topic, value, key, partition, timestamp, headers)

    def reject(self, reject: Reject) -> None:
        source = reject.source
        log.warning("%s rejected at %s: %s", source.where, reject.stage, reject.message)
        self._routes.watch.rejected(reject)
        if self._routes.dead_letters:
            headers = self._routes.reject_headers(reject)
            self._produce(self._routes.dead_letters, source.value, source.key, -1, stamp(source.timestamp), headers)

    def save(self, snapshot: Snapshot) -> None:
        if self._changelog:
            topic, writer = self._changelog
            self._produce(topic, writer.value(snapshot), writer.key(snapshot), snapshot.partition.number)

    def _save_positions(self, positions: Mapping[Partition, int]) -> None:
        if self._changelog:
            topic, writer = self._changelog
            for partition, offset in positions.items():
                self._produce(topic, writer.position(partition, offset), POSITION_KEY, partition.number)

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
            except BufferError:  # the queue is full: wait for the broker, keep the order
                self._producer.poll(0.1)
            except KafkaException as error:
                raise classify(error.args[0]) from error
            else:
                return

    def close(self) -> None:
        self._producer.purge()


class TransactionalSink(_Sink):
    """Exactly once: a read-committed reader sees outputs, rejects, state and positions of a step together or never.

    Every call returns within about 30 s, and within a few seconds once `stopping`.

    Args:
        group_metadata: the consumer's group as it is at the moment of the commit, or None when it is
            no member; must be asked anew for every commit.
        offsets: positions as they are committed.
        probe: ends what hangs under this id, whenever the producer is opened.
        stopping: whether the service was asked to stop.
    Raises:
        BrokerError, Fenced, Unavailable: the broker does not let us open transactions.
    """

    def __init__(
        self,
        properties: Properties,
        routes: Routes,
        changelog: Changelog | None,
        group_metadata: Callable[[], Any],
        offsets: Callable[[Mapping[Partition, int]], list[TopicPartition]],
        probe: Probe | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(properties, routes, changelog)
        self._group_metadata = group_metadata
        self._offsets = offsets
        self._probe = probe
        self._stopping = stopping
        self.ended_hanging = 0
        """Transactions of this id that hung and were ended."""
        self._init()

    def _init(self) -> None:
        # Ends what a predecessor with this id left open, and fences it should it still live.
        self._call(self._producer.init_transactions)
        if self._probe:
            self.ended_hanging += self._probe.end(self._producer, self._call)

    def end_hanging_offsets(self) -> None:
        """Positions of this id that a transaction left pending are dropped. Not within a transaction. Raises TransportError."""
        if self._probe:
            self._probe.touch(self._producer, self._call)

    def begin(self) -> None:
        self._call(lambda _: self._producer.begin_transaction())

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self._save_positions(positions)
        group = self._group_metadata()
        if group is None:
            raise CommitAborted("the consumer has left its group; its positions are not ours to commit")
        offsets = self._offsets(positions)
        self._call(lambda seconds: self._producer.send_offsets_to_transaction(offsets, group, seconds), OFFSETS_S)
        self._call(self._producer.commit_transaction)

    def abort(self) -> None:
        self._call(self._producer.abort_transaction)

    def reopen(self) -> None:
        # A producer in doubt is never used again: a late answer to its commit could hit the next transaction.
        self._producer.purge()
        self._producer = open_client(Producer, self._properties)
        self._init()

    def _call(self, call: Callable[[float], object], at_once_s: float = AT_ONCE_S) -> None:
        """Call again while librdkafka says the same call may succeed, `at_once_s` seconds each time."""
        began = time.monotonic()
        while True:
            try:
                call(at_once_s)
            except KafkaException as error:
                patience_s = STOP_S if self._stopping() else TIMEOUT_S
                if not error.args[0].retriable() or time.monotonic() - began > patience_s:
                    raise classify(error.args[0]) from error
                time.sleep(0.05)
            else:
                return


class AckingSink(_Sink):
    """At least once: positions are committed after the broker has acknowledged every output.

    A crash between the two repeats outputs; there is no abort that hides what was sent.
    """

    def __init__(
        self,
        properties: Properties,
        routes: Routes,
        changelog: Changelog | None,
        commit: Callable[[Mapping[Partition, int]], None],
    ) -> None:
        super().__init__(properties, routes, changelog)
        self._commit = commit

    def begin(self) -> None:
        pass

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self._save_positions(positions)
        left = self._producer.flush(TIMEOUT_S)
        if left:
            raise Unavailable(f"{left} outputs not acknowledged in {TIMEOUT_S:.0f} s. Is the broker there?")
        try:
            self._commit(positions)
        except KafkaException as error:
            raise CommitAborted(f"positions not committed: {error.args[0].str()}") from error

    def abort(self) -> None:
        pass

    def reopen(self) -> None:
        self._producer.purge()
        self._producer = open_client(Producer, self._properties)
