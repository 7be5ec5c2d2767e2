"""How far a consumer is behind the end of its partitions: the broker is asked beside the loop, once a second."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException

from stream_scorer.errors import StreamScorerError
from stream_scorer.kafka.answers import begin_at, committed
from stream_scorer.kafka.clients import ConsumerPair, Properties
from stream_scorer.kafka.end_offsets import Ends, offsets
from stream_scorer.records import Lag, Partition

log = logging.getLogger(__name__)

ASK_EVERY_S = 1.0
TELL_HELD_S = 60.0
"""So long a transaction may be open before the log says whose it is: a Java producer's may last that long unless set."""
_ANSWER_S = 2.0
_CLOSE_S = 1.0

Positions = Mapping[Partition, "int | None"]


class Backlog:
    """The lag of one consumer. A thread of its own asks the broker for the ends; `now` waits for nothing.

    librdkafka's own figure of the end comes with fetched records, and nothing is fetched while its queue is full: under
    overload it stands still.

    Args:
        properties: of the consumer. Other clients with these ask for ends and committed positions; none joins the group.
        start: where a partition without a committed position begins, as `begin_at` takes it.
    """

    def __init__(self, properties: Properties, start: str = "earliest") -> None:
        self._properties = properties
        self._start = start
        self._positions: Positions = {}
        self._ends: dict[Partition, tuple[int, float]] = {}  # and when it was told
        self._begins: dict[Partition, int] = {}  # of partitions that are being set up
        self._before: Positions = {}  # at the last look
        self._held: dict[Partition, tuple[int, float]] = {}  # the offset where it waits, and since when
        self._told: set[Partition] = set()
        self._clients = ConsumerPair(properties, "lag")
        self._closed, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def note(self, positions: Positions) -> None:
        """Every assigned partition, with the offset after all that is settled; None while it is being set up."""
        new = positions.keys() - self._positions.keys()
        self._positions = positions
        if new:
            self._wake.set()

    def now(self) -> dict[Partition, Lag]:
        """Of every partition that was noted last. Safe from any thread."""
        now, found = time.monotonic(), {}
        for partition, position in self._positions.items():
            at = self._begins.get(partition) if position is None else position
            end, told_at = self._ends.get(partition, (None, now))
            held_at, since = self._held.get(partition, (None, now))
            records = None if end is None or at is None else max(0, end - at)
            found[partition] = Lag(records, now - told_at, now - since if at == held_at else 0.0)
        return found

    def close(self) -> None:
        """Blocks for a second at most: a client that waits for a broker is left behind."""
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
        asked = list(positions)
        ends = offsets(self._clients.uncommitted, asked) if asked else {}
        now = time.monotonic()
        self._ends = {partition: (end, now) for partition, end in ends.items()}
        self._begins = self._where_they_begin([at for at in asked if positions[at] is None])
        self._look_for_holds(positions)
        self._before = positions

    def _where_they_begin(self, coming: Sequence[Partition]) -> dict[Partition, int]:
        """Positions of partitions that are being set up: what the group has committed, or else where they will begin."""
        if not coming:
            return {}
        consumer = self._clients.uncommitted  # which does not wait for a position that is not certain
        return {
            at: found.offset if found.offset >= 0 else begin_at(consumer, at, self._start, _ANSWER_S)[0]
            for at, found in committed(consumer, coming, _ANSWER_S).items()
        }

    def _look_for_holds(self, positions: Positions) -> None:
        """A partition that has not moved, though there is more, may wait for a transaction to end."""
        still = {
            at: position
            for at, position in positions.items()
            if position is not None and position == self._before.get(at) and position < self._ends[at][0]
        }
        stable = offsets(self._clients.committed, list(still)) if still else {}
        now = time.monotonic()
        held = {
            at: known if (known := self._held.get(at)) and known[0] == offset else (offset, now)
            for at, offset in stable.items()
            if still[at] >= offset < self._ends[at][0]
        }
        ended, self._held = self._held.keys() - held.keys(), held
        for at in sorted(ended & self._told):
            log.info("%s: the transaction that held it back has ended", at)
        self._told &= held.keys()
        self._tell({at: since for at, (_, since) in held.items() if at not in self._told and now - since > TELL_HELD_S})

    def _tell(self, since: Mapping[Partition, float]) -> None:
        if not since:
            return
        stood_s = time.monotonic() - max(since.values())
        with Ends(self._properties, lambda: self._closed) as ends:
            for hanging in ends.whose({at: self._held[at][0] for at in since}, stood_s):
                log.warning("%s waits: %s", hanging.partition, hanging.text())
        self._told |= since.keys()
