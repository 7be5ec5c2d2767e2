"""Is a fence one that passes, or is another living producer at work with the same transactional id?"""

from __future__ import annotations

import time
from collections import deque

from confluent_kafka import KafkaError

from stream_scorer.errors import BrokerError
from stream_scorer.kafka.errors import FENCED

MAX_FENCES = 6
WINDOW_S = 60.0
"""A predecessor that wakes up takes the id back once or twice. Two living producers take it from each other about every
second."""


class Fences:
    """Counts how often another producer has taken the id. A fence because a transaction took too long does not count.

    Args:
        timeout_s: transaction.timeout.ms, in seconds. After it the broker ends a transaction, and fences its producer.
    """

    def __init__(self, transactional_id: str, timeout_s: float) -> None:
        self._id, self._timeout_s = transactional_id, timeout_s
        self._taken: deque[float] = deque(maxlen=MAX_FENCES)
        self._began: float | None = None
        self._fenced = False

    def opened(self) -> None:
        """A new producer takes the id."""
        self._began, self._fenced = None, False

    def begun(self) -> None:
        """A transaction begins."""
        self._began = time.monotonic()

    def count(self, error: KafkaError) -> None:
        """After a call has failed. Each producer counts once. Raises BrokerError if another living producer must be at work."""
        now = time.monotonic()
        timed_out = self._began is not None and now - self._began >= self._timeout_s
        if error.code() not in FENCED or self._fenced or timed_out:
            return
        self._fenced = True
        self._taken.append(now)
        if len(self._taken) == MAX_FENCES and now - self._taken[0] <= WINDOW_S:
            raise BrokerError(
                f"another living producer has taken the transactional id {self._id!r} from this one {MAX_FENCES} times in "
                f"{now - self._taken[0]:.0f} s. A second service has the same group and the same --instance (the host "
                "name unless set) on another host, or in another container, where this one cannot see it. Give each "
                "service of a group an --instance of its own."
            )
