"""Reads state back from a compacted changelog topic."""

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
from stream_scorer.kafka.hanging import find_hanging
from stream_scorer.kafka.reader import Reader, Stalled, read_topic
from stream_scorer.ports import KeepAlive, Watch
from stream_scorer.records import Partition, Record, StateRecord
from stream_scorer.state.snapshots import POSITION_KEY, ForeignState, read_saved

NAME = "restore"
STALLED_S = 10.0
"""After this time without a record or the end a read fails. It is tried again with new clients."""
STUCK_S = 90.0
"""After this time at the same offset, over all tries, the service stops."""
REUSED_S = 5.0
"""Clients that were opened for one partition serve the next if it comes within this time."""
ANSWER_S = 5.0
"""Timeout of one request. Short, as a service that is asked to stop waits for the answer."""
_LONGEST_NAME = 249


def changelog_name(group: str, topic: str) -> str:
    """The changelog of a group and an input topic. No two pairs have the same, whatever dots are in their names."""
    digest = hashlib.sha256(f"{group}\0{topic}".encode()).hexdigest()[:8]
    tail = f".{digest}.changelog"
    name = re.sub(r"[^a-zA-Z0-9._-]", "_", f"{group}.{topic}")
    return name[: _LONGEST_NAME - len(tail)] + tail


def former_changelog_name(group: str, topic: str) -> str:
    """The name in earlier versions: group a on topic b.c, and group a.b on topic c, had the same."""
    return f"{group}.{topic}.changelog"


class KafkaChangelog:
    """The `StateStore` port over a changelog topic of the input's partition count.

    Args:
        properties: of a consumer, as for the source.
        topic: the changelog.
        watch: called with the progress of each read.
    """

    def __init__(self, properties: Properties, topic: str, watch: Watch) -> None:
        self._properties, self._topic, self._watch = properties, topic, watch
        self._stuck: dict[int, tuple[int, float]] = {}  # by partition number: the offset, and since when
        self._reader: Reader | None = None
        self._pair = ConsumerPair(properties, NAME)
        self._used_at = 0.0

    def read(self, partition: Partition, committed: int | None, keep_alive: KeepAlive) -> list[StateRecord]:
        """The last committed record of every key of the partition. Blocks until all are read.

        It reads up to the last stable offset. If the position record there agrees with the committed offset, that is all.
        Otherwise the commit marker of the last transaction may have reached the topic of positions but not this one, and
        the state would be older than the committed position: then it reads on to the present end of the partition.
        """
        if time.monotonic() - self._used_at > REUSED_S:
            self.close()
        try:
            records = self._read(partition, committed, keep_alive)
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        return records

    def close(self) -> None:
        self._pair.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _read(self, partition: Partition, committed: int | None, keep_alive: KeepAlive) -> list[StateRecord]:
        place = Partition(self._topic, partition.number)
        if self._reader is None:  # kept for the next partition: mostly several come at a time
            self._reader = Reader(self._properties, NAME, prefix="changelog ", answer_s=ANSWER_S, stalled_s=STALLED_S)
        reader, contents = self._reader, _Contents(partition)
        _, stable = reader.bounds(place)
        if stable == 0 and committed is None and self._end_with_open(place) == 0:
            return []
        reader.begin({place: kafka_answers.FIRST})
        self._read_up_to(stable, reader, place, contents, keep_alive)
        if committed is None or contents.position() != committed:
            # To the end, behind open transactions: by then each is committed or aborted.
            self._read_up_to(self._end_with_open(place), reader, place, contents, keep_alive, until=committed)
        self._stuck.pop(place.number, None)
        reader.begin({})
        return list(contents.last.values())

    def _read_up_to(
        self,
        end: int,
        reader: Reader,
        place: Partition,
        contents: _Contents,
        keep_alive: KeepAlive,
        until: int | None = None,
    ) -> None:
        """Reads up to an offset, or until the position record has the offset `until`."""
        shown = reader.at[place]
        try:
            for records in reader.up_to({place: end}):
                for record in records:
                    contents.add(record)
                keep_alive()
                if reader.at[place] > shown:
                    shown = reader.at[place]
                    self._watch.reading(contents.partition, shown, end, len(contents.last))
                if until is not None and contents.position() == until:
                    return
        except Stalled as error:
            raise self._problem(place, reader.at[place], end, keep_alive) from error

    def _problem(self, place: Partition, at: int, end: int, keep_alive: KeepAlive) -> BrokerError | Unavailable:
        now = time.monotonic()
        stuck_at, since = self._stuck.get(place.number, (at, now))
        if stuck_at != at:
            since = now
        self._stuck[place.number] = (at, since)
        where = f"changelog {place}: stuck at offset {at} of {end}"
        if now - since < STUCK_S:
            return Unavailable(f"{where}. A transaction left open there, or a partition without leader?")

        def stopping() -> bool:
            keep_alive()
            return False

        transactions = find_hanging(self._properties, [place], stopping=stopping)
        cause = (
            transactions[0].text()
            if transactions
            else "no transaction is open there now; does the partition have a leader?"
        )
        return BrokerError(f"{where} for {now - since:.0f} s: {cause}.")

    def _end_with_open(self, place: Partition) -> int:
        # Asked by a consumer that reads uncommitted: for any other a partition ends at its last stable offset.
        try:
            return kafka_answers.bounds(self._pair.uncommitted, place, ANSWER_S)[1]
        except KafkaException as error:
            raise unreachable(f"changelog {place}", error.args[0]) from error


def owner(properties: Properties, topic: str) -> str | None:
    """The input topic whose state a changelog holds, by its first record; None if it holds no state.

    Blocks while it reads. Raises Unavailable, BrokerError.
    """
    with contextlib.closing(read_topic(properties, topic)) as records:
        return next((_owner_of(record) for record in records if record.value is not None), None)


def _owner_of(record: Record) -> str | None:
    try:
        read_saved(Partition("", -1), record.key or b"", record.value or b"")
    except ForeignState as error:
        return error.source.topic
    except ValueError:
        return None
    return None


class _Contents:
    """The last record of every key of one changelog partition. `partition`: of the input topic whose state it is."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.last: dict[bytes, StateRecord] = {}

    def position(self) -> int | None:
        """The offset of the last position record."""
        record = self.last.get(POSITION_KEY)
        return None if record is None else record.offset

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
                f"{record.where}: {error}. Only this service may write to its changelog: did another program? Give another "
                "--changelog-topic."
            ) from error
