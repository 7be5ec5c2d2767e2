"""Clients of librdkafka: made here and nowhere else, each with our log."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, KafkaException

from stream_scorer.errors import SettingsError

if TYPE_CHECKING:
    from stream_scorer.transports.kafka_heard import Heard

Properties = dict[str, Any]
T = TypeVar("T")


class RateLimitedLog(logging.Filter):
    """At most one line per 10 s and text: a broker that is down would fill the log with refusals."""

    def __init__(self, every_s: float = 10.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        text = record.getMessage().split("(")[0][:80]
        if now - self._last.get(text, -self._every_s) < self._every_s:
            return False
        self._last[text] = now
        return True


librdkafka_log = logging.getLogger("librdkafka")
librdkafka_log.addFilter(RateLimitedLog())
SILENT = logging.Logger("nobody", logging.CRITICAL + 1)
"""For a client whose errors are ordinary steps here."""


def open_client(
    client: Callable[..., T],
    properties: Properties,
    log: logging.Logger = librdkafka_log,
    heard: Heard | None = None,
) -> T:
    """A Consumer, a Producer or an AdminClient.

    Args:
        heard: is told why no connection to a broker comes about, whenever the client is polled.
    Raises:
        SettingsError: librdkafka refuses the properties, alone or in company.
    """
    if heard is not None:
        properties, log = {**properties, "error_cb": heard.error}, heard.log
    try:
        return client(properties, logger=log)
    except (KafkaException, TypeError, ValueError) as error:
        text = error.args[0].str() if isinstance(error, KafkaException) else error
        raise SettingsError(f"--kafka: {text}. Correct what was given by --kafka KEY=VALUE.") from error


def open_beside(properties: Properties, name: str, *, committed: bool = True, heard: Heard | None = None) -> Consumer:
    """A consumer that joins no group: librdkafka wants the name of one, and positions of it can be asked.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them.
        name: tells it from our other clients in the broker's log.
        committed: whether records, and the ends of partitions, are those of committed transactions only.
    """
    own = {
        "client.id": f"stream-scorer-{name}",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    return open_client(Consumer, {**properties, **own}, heard=heard)


class Pair:
    """Two consumers beside the group's, one of each isolation level: it decides what a broker answers.

    Each is opened when it is first wanted, and again after a `close`: one that has seen a broker's restart keeps old
    leader epochs and may never be answered.
    """

    def __init__(self, properties: Properties, name: str) -> None:
        self._properties, self._name = properties, name
        self._opened: dict[bool, Consumer] = {}

    @property
    def committed(self) -> Consumer:
        """Its partitions end at the last stable offset, and a position that is not certain is not answered."""
        return self._of(True)

    @property
    def uncommitted(self) -> Consumer:
        """Its partitions end at their end, and it takes a position that is not certain."""
        return self._of(False)

    def _of(self, committed: bool) -> Consumer:
        if committed not in self._opened:
            self._opened[committed] = open_beside(self._properties, self._name, committed=committed)
        return self._opened[committed]

    def close(self) -> None:
        while self._opened:
            with contextlib.suppress(KafkaException):
                self._opened.popitem()[1].close()
