"""Publishes scores to Kafka topics: in a transaction with the input positions, or at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_scorer.errors import BrokerError, CommitAborted, Fenced, Refused, Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.errors import UNAUTHORISED, classify, persist, raised, unreachable
from stream_scorer.kafka.fences import Fences
from stream_scorer.kafka.hanging import Probe
from stream_scorer.kafka.rights import NotAllowed
from stream_scorer.kafka.routes import Routes
from stream_scorer.records import Headers, Outgoing, Partition, Place, Reject, Snapshot
from stream_scorer.safe_text import one_line
from stream_scorer.state.snapshots import POSITION_KEY, SnapshotWriter

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
STOP_S = 3.0
"""How long a call is tried once the service was asked to stop."""
CALL_S = 1.0
"""No call into librdkafka lasts longer, so that a stop request is noticed, ..."""
OFFSETS_S = 5.0
"""... but for send_offsets_to_transaction: a timeout of it aborts the transaction."""
DEFAULT_MAX_SIZE = 1_000_000
"""librdkafka's default of message.max.bytes."""

Changelog = tuple[str, SnapshotWriter]


class _Sink:
    """Queues records on a producer: what both sinks share.

    Args:
        changelog: (topic, writer) for session state, or None when there is none to keep.
    """

    def __init__(self, properties: Properties, routes: Routes, changelog: Changelog | None) -> None:
        self._properties = properties
        self._routes = routes
        self._changelog = changelog
        self._max_size = int(properties.get("message.max.bytes", DEFAULT_MAX_SIZE))
        self._producer = open_client(Producer, properties)

    def send(self, outs: Sequence[Outgoing]) -> None:
        self._routes.watch.sent(outs)
        produce = self._producer.produce
        culprits: dict[Place, str] = {}
        for out, (topic, value, key, partition, timestamp, headers) in zip(
            outs, self._routes.address(outs), strict=True
        ):
            try:
                produce(topic, value, key, partition, None, None, timestamp, headers)
            except (BufferError, KafkaException):
                if refusal := self._produce(topic, value, key, partition, timestamp, headers):
                    culprits[out.source.place] = refusal
        if culprits:  # all of them together: each alone would cost a batch
            raise Refused(f"{len(culprits)} outputs, the first: {next(iter(culprits.values()))}", culprits)

    def reject(self, reject: Reject) -> None:
        source = reject.source
        if not reject.refusals:
            log.warning("rejected: %s", one_line(reject.line))
            self._routes.watch.rejected(reject)
        if topic := self._routes.dead_letters:
            value, key, timestamp, headers = self._routes.letter(reject, self._max_size)
            if refusal := self._produce(topic, value, key, -1, timestamp, headers):
                raise Refused(refusal, {source.place: refusal})

    def save(self, snapshot: Snapshot) -> None:
        if self._changelog:
            topic, writer = self._changelog
            if refusal := self._produce(topic, writer.value(snapshot), writer.key(snapshot), snapshot.partition.number):
                raise Refused(refusal)  # it is not known which of a session's records made it so large

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
    ) -> str | None:
        """Queue a record. Blocks while the queue is full. Returns why the producer refuses it, None if it takes it.

        Raises TransportError.
        """
        while True:
            try:
                self._producer.produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
            except BufferError:  # the queue is full: wait for the broker, keep the order
                self._poll()
            except KafkaException as error:
                if error.args[0].code() in (KafkaError._STATE, KafkaError._FATAL):
                    self._raise_reason()
                problem = classify(error.args[0])
                if not isinstance(problem, Refused):
                    raise problem from error
                return (
                    f"{topic}: {len(key or b''):,} bytes of key and {len(value or b''):,} of value, with headers more "
                    f"than the {self._max_size:,} that a record may have: {problem}"
                )
            else:
                return None

    def _poll(self) -> None:
        try:
            self._producer.poll(0.1)
        except (KafkaException, SystemError) as error:
            raise raised(error) from error

    def look_again(self, topics: Iterable[str]) -> None:
        """Look up the partition counts of topics: the producer would refuse new partitions for minutes. Raises Unavailable."""
        for topic in topics:
            try:
                kafka_answers.topic(self._producer, topic, OFFSETS_S)
            except KafkaException as error:
                raise unreachable(f"topic {topic!r}: no partition count", error.args[0]) from error

    def _raise_reason(self) -> None:
        """Nothing more can be queued. Raises TransportError with the reason, if it is known."""

    def close(self) -> None:
        self._producer.purge()


class TransactionalSink(_Sink):
    """Exactly once: a read-committed reader sees outputs, rejects, state and positions of a step together or never.

    Every call returns within about 30 s, and within a few seconds once `stopping`.

    Args:
        group_metadata: the consumer's group as it is at the moment, or None if the consumer is not a member. Called for every
            commit.
        offsets: positions as they are committed.
        probe: ends transactions that hang under this id, whenever the producer is opened.
        stopping: whether the service was asked to stop.
    Raises:
        BrokerError: the broker does not open transactions for this user. In any call: another living producer fences this
            one again and again.
        Fenced, Unavailable.
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
        timeout_s = int(properties["transaction.timeout.ms"]) / 1000
        self._fences = Fences(properties["transactional.id"], timeout_s)
        self.ended_hanging = 0
        """Transactions of this id that hung and were ended."""
        self._init()

    def _init(self) -> None:
        self._fences.opened()
        # Ends the transaction that a predecessor with this id left open, and fences the predecessor if it still lives.
        self._call(self._producer.init_transactions)
        if self._probe:
            self.ended_hanging += self._probe.end(self._producer, self._call)

    def begin(self) -> None:
        self._fences.begun()
        self._call(lambda _: self._producer.begin_transaction())

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self._save_positions(positions)
        group = self._group_metadata()
        if group is None:
            raise CommitAborted("the consumer has left its group, so its positions must not be committed")
        offsets = self._offsets(positions)
        self._call(lambda seconds: self._producer.send_offsets_to_transaction(offsets, group, seconds), OFFSETS_S)
        self._call(self._producer.commit_transaction)

    def abort(self) -> None:
        self._call(self._producer.abort_transaction)

    def _raise_reason(self) -> None:
        # The transaction failed while its records were still being queued: commit does nothing but raise the reason.
        self._call(self._producer.commit_transaction)

    def reopen(self) -> None:
        # Never use a producer in doubt again: a late answer to its commit could be taken for one to the next transaction.
        self._producer.purge()
        self._producer = open_client(Producer, self._properties)
        self._init()

    def _call(self, call: Callable[[float], object], call_s: float = CALL_S) -> None:
        """Raises TransportError."""
        try:
            persist(call, call_s, lambda: STOP_S if self._stopping() else TIMEOUT_S)
        except KafkaException as error:
            self._fences.count(error.args[0])
            raise classify(error.args[0]) from error


class AckingSink(_Sink):
    """At least once: positions are committed after the broker has acknowledged all that was sent before them.

    A crash between the two repeats outputs, and so does a record that is refused: no abort hides what was sent.
    """

    def __init__(
        self,
        properties: Properties,
        routes: Routes,
        changelog: Changelog | None,
        commit: Callable[[Mapping[Partition, int]], None],
    ) -> None:
        self._errors: dict[int, tuple[KafkaError, str]] = {}  # by code: the first error, and its partition
        reports = {"delivery.report.only.error": True, "on_delivery": self._not_delivered}
        super().__init__({**properties, **reports}, routes, changelog)
        self._commit = commit

    def begin(self) -> None:
        pass

    def _not_delivered(self, error: KafkaError | None, message: Message) -> None:
        """librdkafka calls this inside `poll` and `flush`, for each record that will not be acknowledged."""
        if error is not None:
            self._errors.setdefault(error.code(), (error, f"{message.topic()}[{message.partition()}]"))

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self._save_positions(positions)
        self._flush()
        self._check_delivered()
        try:
            self._commit(positions)
        except KafkaException as error:
            if error.args[0].code() in UNAUTHORISED:
                raise classify(error.args[0]) from error
            raise CommitAborted(f"positions not committed: {error.args[0].str()}") from error

    def _flush(self) -> None:
        try:
            left = self._producer.flush(TIMEOUT_S)
        except (KafkaException, SystemError) as error:
            raise raised(error) from error
        if left:
            raise Unavailable(f"{left} outputs were not acknowledged in {TIMEOUT_S:.0f} s. Is the broker there?")

    def _check_delivered(self) -> None:
        """Raises the gravest error of a record that was not acknowledged: first those that only a person can mend."""
        errors = [(classify(error), where) for error, where in self._errors.values()]
        self._errors.clear()
        for error, where in errors:
            if isinstance(error, NotAllowed):
                raise NotAllowed(f"{where}: {error}", error.kind)
        for kind in (BrokerError, Fenced, Refused, Unavailable):
            for error, where in errors:
                if isinstance(error, kind):
                    raise kind(f"{where}: {error}")
        if errors:
            raise CommitAborted(f"{errors[0][1]}: {errors[0][0]}")

    def abort(self) -> None:
        """Outputs that were sent stay. Those in flight must arrive first, or their errors would be taken for the next step's."""
        self._flush()
        self._errors.clear()

    def reopen(self) -> None:
        self._producer.purge()
        self._producer = open_client(Producer, self._properties)
        self._errors.clear()
