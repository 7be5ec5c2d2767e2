"""State read back from a compacted changelog topic."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time

from confluent_kafka import KafkaException

from stream_scorer.errors import BrokerError, ModelError, Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import ConsumerPair, Properties
from stream_scorer.kafka.errors import unreachable
from stream_scorer.kafka.hanging import hanging
from stream_scorer.kafka.reader import Reader, Stalled, read_topic
from stream_scorer.ports import Breathe, Watch
from stream_scorer.records import Partition, Record, StateRecord
from stream_scorer.state.snapshots import POSITION_KEY, ForeignState, read_saved

NAME = "restore"
STALLED_S = 10.0
"""After so long without a record or the end, a read fails; it is tried again with new clients."""
STUCK_S = 90.0
REUSED_S = 5.0
"""Clients opened for one partition serve the next if it comes within so long."""
ANSWER_S = 5.0
"""For one question. Short, as a service that is asked to stop waits for the answer."""
_LONGEST_NAME = 249


def changelog_name(group: str, topic: str) -> str:
    """Of the changelog of a group and an input topic: no two pairs have the same, whatever dots are in them."""
    mark = hashlib.sha256(f"{group}\0{topic}".encode()).hexdigest()[:8]
    tail = f".{mark}.changelog"
    legal = re.sub(r"[^a-zA-Z0-9._-]", "_", f"{group}.{topic}")
    return legal[: _LONGEST_NAME - len(tail)] + tail


def former_changelog_name(group: str, topic: str) -> str:
    """As earlier versions named it: group a on topic b.c, and group a.b on topic c, had the same."""
    return f"{group}.{topic}.changelog"


class KafkaChangelog:
    """The `StateStore` port over a changelog topic of the input's partition count.

    Args:
        properties: of a consumer, as for the source.
        topic: the changelog.
    """

    def __init__(self, properties: Properties, topic: str, watch: Watch) -> None:
        self._properties, self._topic, self._watch = properties, topic, watch
        self._stuck: dict[int, tuple[int, float]] = {}
        self._reader: Reader | None = None
        self._pair = ConsumerPair(properties, NAME)
        self._used_at = 0.0

    def read(self, partition: Partition, committed: int | None, breathe: Breathe) -> list[StateRecord]:
        """The last committed record of every key of the partition. Blocks until all are read.

        It reads up to the last stable offset. If the position record there agrees with the committed offset, that is all.
        Otherwise the commit marker of the last transaction may have reached the offsets topic but not this one, and the
        state would be older than the committed position: then it reads on to the present end of the partition.
        """
        if time.monotonic() - self._used_at > REUSED_S:
            self.close()
        try:
            found = self._read(partition, committed, breathe)
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        return found

    def close(self) -> None:
        self._pair.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _read(self, partition: Partition, committed: int | None, breathe: Breathe) -> list[StateRecord]:
        place = Partition(self._topic, partition.number)
        if self._reader is None:  # kept for the next partition: mostly several come at a time
            self._reader = Reader(self._properties, NAME, what="changelog ", answer_s=ANSWER_S, stalled_s=STALLED_S)
        reader, kept = self._reader, _Kept(partition)
        _, stable = reader.bounds(place)
        if stable == 0 and committed is None and self._end_with_open(place) == 0:
            return []
        reader.begin({place: kafka_answers.FIRST})
        self._read_up_to(stable, reader, place, kept, breathe)
        if committed is None or kept.position() != committed:
            # To the end, behind open transactions: by then each is committed or aborted.
            self._read_up_to(self._end_with_open(place), reader, place, kept, breathe, enough=committed)
        self._stuck.pop(place.number, None)
        reader.begin({})
        return list(kept.last.values())

    def _read_up_to(
        self, end: int, reader: Reader, place: Partition, kept: _Kept, breathe: Breathe, enough: int | None = None
    ) -> None:
        """Reads up to an offset, or until the position record says `enough`."""
        shown = reader.at[place]
        try:
            for records in reader.up_to({place: end}):
                for record in records:
                    kept.add(record)
                breathe()
                if reader.at[place] > shown:
                    shown = reader.at[place]
                    self._watch.reading(kept.partition, shown, end, len(kept.last))
                if enough is not None and kept.position() == enough:
                    return
        except Stalled as error:
            raise self._problem(place, reader.at[place], end, breathe) from error

    def _problem(self, place: Partition, at: int, end: int, breathe: Breathe) -> BrokerError | Unavailable:
        now = time.monotonic()
        known, since = self._stuck.get(place.number, (at, now))
        if known != at:
            since = now
        self._stuck[place.number] = (at, since)
        where = f"changelog {place}: stuck at offset {at} of {end}"
        if now - since < STUCK_S:
            return Unavailable(f"{where}. A transaction left open there, or a partition without leader?")

        def stopping() -> bool:
            breathe()
            return False

        found = hanging(self._properties, [place], stopping=stopping)
        whose = found[0].text() if found else "no transaction is open there now; does the partition have a leader?"
        return BrokerError(f"{where} for {now - since:.0f} s: {whose}.")

    def _end_with_open(self, place: Partition) -> int:
        # Asked by a consumer that reads uncommitted: for any other a partition ends at its last stable offset.
        try:
            return kafka_answers.bounds(self._pair.uncommitted, place, ANSWER_S)[1]
        except KafkaException as error:
            raise unreachable(f"changelog {place}", error.args[0]) from error


def owner(properties: Properties, topic: str) -> str | None:
    """The input topic whose state a changelog holds, by its first record; None if it holds none. Blocks.

    Raises Unavailable, BrokerError.
    """
    with contextlib.closing(read_topic(properties, topic)) as records:
        return next((_owner_of(record) for record in records if record.value is not None), None)


def _owner_of(record: Record) -> str | None:
    try:
        read_saved(Partition("", -1), record.key or b"", record.value or b"")
    except ForeignState as found:
        return found.source.topic
    except ValueError:
        return None
    return None


class _Kept:
    """The last record of every key of one changelog partition. `partition`: of the input topic, whose state it is."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.last: dict[bytes, StateRecord] = {}

    def position(self) -> int | None:
        """What the last position record says."""
        found = self.last.get(POSITION_KEY)
        return None if found is None else found.offset

    def add(self, record: Record) -> None:
        """Raises ModelError."""
        key = record.key or b""
        if record.value is None:
            self.last.pop(key, None)
            return
        try:
            self.last[key] = read_saved(self.partition, key, record.value)
        except ForeignState as error:
            raise ModelError(
                f"{record.where}: {error}, where that of {self.partition} is expected. Does another service write to this "
                "changelog? Give another --changelog-topic, and --on-state-mismatch rebuild."
            ) from error
        except ValueError as error:
            raise ModelError(
                f"{record.where}: {error}. The changelog is this service's own: "
                "did something else write there? Give another --changelog-topic."
            ) from error
