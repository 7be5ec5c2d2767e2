"""How far a consumer is behind the end of its partitions. A thread asks the broker once a second."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException

from stream_scorer.errors import StreamScorerError
from stream_scorer.kafka.answers import begin_at, committed
from stream_scorer.kafka.clients import ConsumerPair, Properties
from stream_scorer.kafka.end_offsets import EndOffsets, offsets
from stream_scorer.records import Lag, Partition

log = logging.getLogger(__name__)

ASK_EVERY_S = 1.0
LOG_HELD_S = 60.0
"""How long a transaction may be open before the log says whose it is: the default of Java producers for the longest."""
_ANSWER_S = 2.0
_CLOSE_S = 1.0

Positions = Mapping[Partition, "int | None"]


class Backlog:
    """The lag of one consumer. A thread of its own asks the broker for the ends; `now` does not block.

    librdkafka's own figure of the end comes with fetched records, and nothing is fetched while its queue is full: under
    overload it stands still.

    Args:
        properties: of the consumer. Other clients, which do not join the group, ask for ends and committed offsets.
        start: where a partition without a committed offset begins, as `begin_at` takes it.
    """

    def __init__(self, properties: Properties, start: str = "earliest") -> None:
        self._properties = properties
        self._start = start
        self._positions: Positions = {}
        self._ends: dict[Partition, tuple[int, float]] = {}  # and when the broker gave it
        self._begins: dict[Partition, int] = {}  # of partitions that are being set up
        self._before: Positions = {}  # at the last look
        self._held: dict[Partition, tuple[int, float]] = {}  # the offset where it waits, and since when
        self._logged: set[Partition] = set()  # held for LOG_HELD_S
        self._clients = ConsumerPair(properties, "lag")
        self._closed, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def note(self, positions: Positions) -> None:
        """Every assigned partition, with the next offset that its consumer reads; None while it is being set up."""
        new = positions.keys() - self._positions.keys()
        self._positions = positions
        if new:
            self._wake.set()

    def now(self) -> dict[Partition, Lag]:
        """The lag of each partition that was noted last. Safe from any thread."""
        now, lags = time.monotonic(), {}
        for partition, position in self._positions.items():
            at = self._begins.get(partition) if position is None else position
            end, end_at = self._ends.get(partition, (None, now))
            held_at, since = self._held.get(partition, (None, now))
            records = None if end is None or at is None else max(0, end - at)
            lags[partition] = Lag(records, now - end_at, now - since if at == held_at else 0.0)
        return lags

    def close(self) -> None:
        """Blocks for a second at most: a client that waits for a broker is not waited for."""
        self._closed = True
        self._wake.set()
        self._thread.join(_CLOSE_S)

    def _watch(self) -> None:
        while not self._closed:
            try:
                self._look()
            except (KafkaException, StreamScorerError) as error:
                log.debug("the ends of partitions are not known now: %s", error)
                self._clients.close()
            self._wake.wait(ASK_EVERY_S)
            self._wake.clear()
        self._clients.close()

    def _look(self) -> None:
        positions = self._positions
        ends = offsets(self._clients.uncommitted, list(positions)) if positions else {}
        now = time.monotonic()
        self._ends = {partition: (end, now) for partition, end in ends.items()}
        self._begins = self._where_they_begin([partition for partition in positions if positions[partition] is None])
        self._look_for_holds(positions)
        self._before = positions

    def _where_they_begin(self, coming: Sequence[Partition]) -> dict[Partition, int]:
        """Positions of partitions that are being set up: what the group has committed, or else where they will begin."""
        if not coming:
            return {}
        consumer = self._clients.uncommitted  # it does not wait for a position that is not certain
        return {
            partition: at.offset if at.offset >= 0 else begin_at(consumer, partition, self._start, _ANSWER_S)[0]
            for partition, at in committed(consumer, coming, _ANSWER_S).items()
        }

    def _look_for_holds(self, positions: Positions) -> None:
        """A partition that has not moved, though it has more records, may wait for a transaction to end."""
        waiting = {
            partition: position
            for partition, position in positions.items()
            if position is not None and position == self._before.get(partition) and position < self._ends[partition][0]
        }
        stable = offsets(self._clients.committed, list(waiting)) if waiting else {}
        now = time.monotonic()
        held = {
            partition: before if (before := self._held.get(partition)) and before[0] == offset else (offset, now)
            for partition, offset in stable.items()
            if waiting[partition] >= offset < self._ends[partition][0]
        }
        ended, self._held = self._held.keys() - held.keys(), held
        for partition in sorted(ended & self._logged):
            log.info("%s: the transaction that held it back has ended", partition)
        self._logged &= held.keys()
        self._log_owners(
            {
                partition: since
                for partition, (_, since) in held.items()
                if partition not in self._logged and now - since > LOG_HELD_S
            }
        )

    def _log_owners(self, since: Mapping[Partition, float]) -> None:
        if not since:
            return
        open_s = time.monotonic() - max(since.values())
        with EndOffsets(self._properties, lambda: self._closed) as ends:
            for transaction in ends.describe({partition: self._held[partition][0] for partition in since}, open_s):
                log.warning("%s waits: %s", transaction.partition, transaction.text())
        self._logged |= since.keys()
