"""Will topics delete or refuse the records that are sent to them? Says so before it happens, with what to change."""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaException

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_outside_group
from stream_scorer.parsing.retention import MAX_MS, span_text
from stream_scorer.records import Outgoing, Partition, Reject

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0

_EPOCH = datetime.datetime(1970, 1, 1)
BEFORE, AFTER, EITHER = (f"message.timestamp.{bound}.max.ms" for bound in ("before", "after", "difference"))


class Keeping(NamedTuple):
    """Which records a topic keeps, and which it takes.

    retention_ms: -1: none are deleted by time. retention_bytes: of a partition; -1: none are deleted by size.
    compacts: whether it keeps only the last record of each key.
    before_ms, after_ms: how far a record's time may lie from the broker's clock.
    """

    topic: str
    retention_ms: int = -1
    retention_bytes: int = -1
    compacts: bool = False
    own_time: bool = False
    """Whether the broker replaces the time of records by its own."""
    before_ms: int = MAX_MS
    after_ms: int = MAX_MS

    @classmethod
    def of(cls, topic: str, config: Mapping[str, str]) -> Keeping:
        """From a topic's configuration. Policies other than `delete` delete nothing by time or size."""
        policies = [policy.strip() for policy in config.get("cleanup.policy", "delete").split(",")]
        deletes = "delete" in policies
        either = config.get(EITHER, str(MAX_MS))  # brokers before 3.6 have one limit for both
        return cls(
            topic,
            int(config.get("retention.ms", -1)) if deletes else -1,
            int(config.get("retention.bytes", -1)) if deletes else -1,
            "compact" in policies,
            config.get("message.timestamp.type", "CreateTime") == "LogAppendTime",
            int(config.get(BEFORE, either)),
            int(config.get(AFTER, either)),
        )

    def oldest_kept(self, now_ms: int) -> int | None:
        """Records of an earlier time are deleted, ms since 1970; None: no record is deleted by its time."""
        return None if self.retention_ms < 0 or self.own_time else now_ms - self.retention_ms


def alter(servers: str, topic: str, config: str) -> str:
    """The command line that changes a topic's configuration."""
    return (
        f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic} "
        f"--add-config {config}"
    )


def day(ms: int) -> str:
    """The date of a timestamp, UTC."""
    try:
        return (_EPOCH + datetime.timedelta(milliseconds=ms)).date().isoformat()
    except OverflowError:
        return f"{ms} ms since 1970"


def check_replay(
    keeping: Keeping, timestamps: Sequence[int] | None, key: bytes | None, count: int, now_ms: int, servers: str
) -> None:
    """Before `count` records of one key are sent: would the topic refuse or delete some of them?

    Args:
        timestamps: of the records, ms since 1970; None: they get the time of sending.
    Raises:
        BrokerError: it would. The text has the figures and what to change.
    """
    if keeping.compacts:
        _check_compaction(keeping.topic, key, count, servers)
    if timestamps is None or keeping.own_time:
        return
    _check_limits(keeping, timestamps, now_ms, servers)
    oldest = keeping.oldest_kept(now_ms)
    if old := [] if oldest is None else [at for at in timestamps if at < oldest]:
        raise BrokerError(
            f"topic {keeping.topic!r} keeps records for {span_text(keeping.retention_ms)} by their own time "
            f"(retention.ms={keeping.retention_ms}): {len(old):,} of {count:,} records are older, the oldest of "
            f"{day(min(old))}, and the broker would delete them. Nothing was sent. Let the topic keep them: "
            f"{alter(servers, keeping.topic, 'retention.ms=-1')}; {_SEND_NOW}"
        )


_SEND_NOW = "or send them with the time of sending: --timestamps now."


def _check_compaction(topic: str, key: bytes | None, count: int, servers: str) -> None:
    if key is None and count:
        raise BrokerError(
            f"topic {topic!r} is compacted (cleanup.policy) and takes no record without a key: none of the {count:,} "
            f"would be taken. Nothing was sent. Give --key, and {_stop_compacting(servers, topic)}"
        )
    if count > 1:
        raise BrokerError(
            f"topic {topic!r} is compacted (cleanup.policy): it keeps the last record of each key, and the {count:,} "
            f"records have one key, so one of them would be left. Nothing was sent. {_stop_compacting(servers, topic)}"
        )


def _check_limits(keeping: Keeping, timestamps: Sequence[int], now_ms: int, servers: str) -> None:
    topic = keeping.topic
    for name, limit, beyond, end in (
        (BEFORE, keeping.before_ms, [at for at in timestamps if now_ms - at > keeping.before_ms], min),
        (AFTER, keeping.after_ms, [at for at in timestamps if at - now_ms > keeping.after_ms], max),
    ):
        if beyond:
            raise BrokerError(
                f"topic {topic!r} takes no record {'older' if end is min else 'later'} than {span_text(limit)} from now "
                f"({name}={limit}): {len(beyond):,} of {len(timestamps):,} records are, the "
                f"{'oldest' if end is min else 'latest'} of {day(end(beyond))}. Is a date in the future, or wrong? Nothing "
                f"was sent. Correct the dates, let the topic take them: {alter(servers, topic, f'{name}={MAX_MS}')}; "
                f"{_SEND_NOW}"
            )


def check_resubmitted(keeping: Keeping, timestamps: Sequence[int], now_ms: int, servers: str) -> Iterator[str]:
    """Texts about records that go back to a topic with their own time, if the topic does not keep them."""
    oldest = keeping.oldest_kept(now_ms)
    if old := 0 if oldest is None else sum(at < oldest for at in timestamps):
        yield (
            f"topic {keeping.topic!r} keeps records for {span_text(keeping.retention_ms)} by their own time, and {old:,} of "
            f"{len(timestamps):,} re-submitted are older: only consumers that read now get them, as the broker will delete "
            f"them. To keep them: {alter(servers, keeping.topic, 'retention.ms=-1')}"
        )


def _stop_compacting(servers: str, topic: str) -> str:
    return f"take another topic, or let this one keep all: {alter(servers, topic, 'cleanup.policy=delete,retention.ms=-1')}"


def remarks(keeping: Keeping, size: Callable[[], int] | None = None) -> Iterator[str]:
    """Texts about a topic that records with a time of their own are sent to. `size`: the bytes of all these records."""
    topic = keeping.topic
    if keeping.own_time:
        yield (
            f"topic {topic!r} replaces the time of records by the broker's (message.timestamp.type=LogAppendTime): "
            "their dates are lost."
        )
    if keeping.compacts:
        yield f"topic {topic!r} is compacted (cleanup.policy): it keeps the last record of each key, not all of them."
    if size is not None and 0 <= keeping.retention_bytes < (bytes_ := size()):
        yield (
            f"topic {topic!r} keeps about {keeping.retention_bytes:,} bytes a partition (retention.bytes), and the "
            f"records have {bytes_:,} or more: the first may be deleted."
        )


class RetentionWatch:
    """Logs once for each topic that it will delete records of their age. The sink calls it once a batch.

    Args:
        keepings: of the topics that are to keep records. Those that could not be looked up are left out.
        rejects: the topic of dead letters, if there is one. All other topics get, or have, the records of every batch.
    """

    def __init__(self, keepings: Iterable[Keeping], servers: str, *, rejects: str | None = None) -> None:
        self._servers = servers
        all_keepings = list(keepings)
        limited = [keeping for keeping in all_keepings if keeping.oldest_kept(0) is not None]
        self._of_all = [keeping for keeping in limited if keeping.topic != rejects]
        self._of_rejects = [keeping for keeping in limited if keeping.topic == rejects]
        self._warnings: dict[str, str | None] = {keeping.topic: None for keeping in all_keepings}

    def at_risk(self) -> Mapping[str, str | None]:
        """Each topic with the warning that was logged for it; None: none so far. Safe from any thread."""
        return dict(self._warnings)

    def sent(self, outs: Sequence[Outgoing]) -> None:
        """The outputs of a batch: its oldest input counts. Costs nothing if topics keep all, or once all were logged."""
        if self._of_all and outs:
            self._look(self._of_all, [out[1][4] for out in outs])

    def rejected(self, reject: Reject) -> None:
        if self._of_rejects:
            self._look(self._of_rejects, [reject.source.timestamp])

    def _look(self, watched: list[Keeping], timestamps: list[int | None]) -> None:
        if None in timestamps:  # a record without a time of its own gets the time of sending
            timestamps = [at for at in timestamps if at is not None]
        oldest: int | None = min(timestamps, default=None)  # type: ignore[type-var]
        if oldest is None:
            return
        now_ms = time.time_ns() // 1_000_000
        for keeping in [keeping for keeping in watched if oldest < now_ms - keeping.retention_ms]:
            watched.remove(keeping)
            text = self._warnings[keeping.topic] = (
                f"topic {keeping.topic!r} keeps records for {span_text(keeping.retention_ms)} by their own time "
                f"(retention.ms={keeping.retention_ms}), and there are older ones, of {day(oldest)}: the broker will "
                "delete them (scores, evaluations and dead letters have the time of their input). Let the topic keep "
                f"them: {alter(self._servers, keeping.topic, 'retention.ms=-1')}"
            )
            log.warning("%s", text)


class DeletedUnread(NamedTuple):
    """Input partitions whose records were all deleted, and of which the group has committed nothing.

    counts: how many records each of these partitions had, by offsets; empty: there are no such partitions.
    nothing_left: whether no other partition has records, or had any.
    """

    counts: list[int]
    nothing_left: bool

    def text(self, topic: str, keeping: Keeping | None, group: str, servers: str) -> str:
        """What has happened and what to do. `keeping`: of the topic, None if it is not known."""
        where = f" in {len(self.counts)} partitions" if len(self.counts) > 1 else ""
        if keeping is None:
            cause, advice = "by retention or by hand.", ""
        elif (kept := keeping.retention_ms) < 0:
            cause, advice = "by hand, or by a retention that it had before.", ""
        else:
            cause = f"by retention (it keeps them for {span_text(kept)} by their own time: retention.ms={kept}), or by hand."
            advice = f" Let the topic keep them: {alter(servers, topic, 'retention.ms=-1')} . "
        return (
            f"input topic {topic!r} had {sum(self.counts):,} records{where}, of which none is left, and group {group!r} "
            f"has committed nothing there: they were deleted {cause}{advice or ' '}Then send them again, e.g. by "
            "stream-scorer replay."
        )


def find_deleted_unread(properties: Properties, topic: str, partitions: int) -> DeletedUnread:
    """Whether the records that the group is to read first were deleted.

    Blocks for 10 s at most in each of three calls. Raises nothing: if the broker does not answer, or does not allow it,
    `counts` is empty, and the consumer of the topic will report that error.

    Args:
        properties: of the group's consumer. This one does not join.
    """
    places = [Partition(topic, number) for number in range(partitions)]
    # Up to the end, not to the last stable offset: what lies between is not gone.
    with contextlib.closing(open_outside_group(properties, "gone", committed=False)) as consumer:
        try:
            first = kafka_answers.offsets(consumer, places, kafka_answers.FIRST, TIMEOUT_S)
            ends = kafka_answers.offsets(consumer, places, kafka_answers.END, TIMEOUT_S)
            emptied = [at for at in places if first[at] == ends[at] > 0]
            committed = kafka_answers.committed_with_retries(consumer, emptied, TIMEOUT_S) if emptied else {}
        except KafkaException as error:
            log.debug("topic %r: %s", topic, error.args[0].str())
            return DeletedUnread([], nothing_left=False)
    counts = [ends[at] for at, position in committed.items() if position.offset < 0]
    all_empty = all(first[at] == ends[at] for at in places)
    return DeletedUnread(counts, nothing_left=bool(emptied) and len(counts) == len(emptied) and all_empty)
