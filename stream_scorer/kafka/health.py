"""Whether a consumer still finds its broker and its group, and whether a new one would."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable
from enum import Enum

from confluent_kafka import KafkaError, KafkaException

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_outside_group
from stream_scorer.kafka.connection_errors import ConnectionErrors
from stream_scorer.kafka.hanging import hanging_offsets, unknown_owner_text
from stream_scorer.records import Partition

log = logging.getLogger(__name__)

STATISTICS_EVERY_MS = 2_000
ILL_S = 8.0
"""How long a consumer may be without broker or group before a new one is tried beside it."""
STUCK_S = 90.0
"""How long a committed offset may be uncertain: longer than a transaction of ours may take."""
_ANSWER_S = 2.0


class Finding(Enum):
    """Why the group's committed offset does not come.

    STALE: a new consumer gets it. UNSTABLE: a transaction that changes it is open. AWAY: no broker answers.
    """

    STALE = "stale"
    UNSTABLE = "unstable"
    AWAY = "away"


class Health:
    """Of one consumer: does it still find its broker and its group?

    A broker that answers while it is fenced, as after a pause, gives metadata that name no broker. librdkafka may then
    drop the only broker it knows, and its group's coordinator with it, for good: it never asks again.

    Args:
        properties: of the consumer, without callbacks.
    """

    def __init__(self, properties: Properties) -> None:
        self._properties = properties
        self._unstable_since: dict[Partition, float] = {}
        self._errors = ConnectionErrors()
        self.connected = True
        """Whether a broker was connected at the last statistics: without records nothing else says so."""
        self.renew()

    def statistics(self, text: str) -> None:
        """librdkafka's statistics, as JSON. It calls this every 2 s."""
        figures = json.loads(text)
        self.connected = any(broker["state"] == "UP" for broker in figures["brokers"].values())
        if self.connected:
            self._errors.clear()
        if self.connected and figures.get("cgrp", {}).get("state") == "up":
            self._well_at = time.monotonic()

    def error(self, error: KafkaError) -> None:
        """librdkafka reports that a connection failed or broke."""
        if self._errors.add(error) and self._errors.reason and self._errors.reason.permanent:
            log.warning("%s The client keeps trying until that is changed, here or at the broker.", self._errors.reason)

    @property
    def reason(self) -> str | None:
        """Why no broker is connected, and what to change; None while one is, or librdkafka has said nothing."""
        return None if self._errors.reason is None else str(self._errors.reason)

    def renew(self) -> None:
        """The consumer was opened anew."""
        self._well_at = self._tried_at = time.monotonic()

    def ill(self) -> bool:
        """Whether it has been without broker or group for ILL_S, and was not looked at meanwhile."""
        return time.monotonic() - max(self._well_at, self._tried_at) > ILL_S

    def look(self, partition: Partition) -> Finding:
        """Why the group's committed offset of a partition does not come. Blocks for up to 4 s."""
        self._tried_at = time.monotonic()
        if self._answers(partition, committed=True):
            finding = Finding.STALE
        elif self._answers(partition, committed=False):  # gives an offset that is not certain, too
            finding = Finding.UNSTABLE
        else:
            finding = Finding.AWAY
        if finding is Finding.UNSTABLE:
            self._unstable_since.setdefault(partition, self._tried_at)
        else:
            self.certain(partition)
        return finding

    def check_unstable(self, partition: Partition) -> None:
        """After `look` has found UNSTABLE. Raises BrokerError if that has lasted so long that nobody will end it."""
        open_s = time.monotonic() - self._unstable_since[partition]
        if open_s > STUCK_S:
            raise BrokerError(
                f"{partition}: for {open_s:.0f} s the group's position is not certain: "
                f"{hanging_offsets(self._properties) or unknown_owner_text(self._properties)}."
            )

    def explain(self, partition: Partition, stopping: Callable[[], bool]) -> str:
        """The transaction that keeps the committed offset from being certain, in words; "" if none does.

        Blocks for some 1.3 s, for a few more if the broker is slow.
        """
        if not self._answers(partition, committed=False):
            return ""
        return hanging_offsets(self._properties, stopping)

    def certain(self, partition: Partition) -> None:
        """The group's committed offset has come."""
        self._unstable_since.pop(partition, None)

    def _answers(self, partition: Partition, *, committed: bool) -> bool:
        with contextlib.closing(open_outside_group(self._properties, "check", committed=committed)) as consumer:
            try:
                kafka_answers.committed(consumer, [partition], _ANSWER_S)
            except KafkaException:
                return False
            return True
