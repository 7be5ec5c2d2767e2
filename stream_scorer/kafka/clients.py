"""Makes clients of librdkafka, here and nowhere else, each with our log."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, KafkaException

from stream_scorer.errors import SettingsError

if TYPE_CHECKING:
    from stream_scorer.kafka.heard import Heard

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
"""For a client whose errors are expected."""


def open_client(
    client: Callable[..., T],
    properties: Properties,
    log: logging.Logger = librdkafka_log,
    heard: Heard | None = None,
) -> T:
    """A Consumer, a Producer or an AdminClient. Does not wait for a broker.

    Args:
        heard: learns why there is no connection to a broker, whenever the client is polled.
    Raises:
        SettingsError: librdkafka refuses a property, or properties together.
    """
    if heard is not None:
        properties, log = {**properties, "error_cb": heard.error}, heard.log
    try:
        return client(properties, logger=log)
    except (KafkaException, TypeError, ValueError) as error:
        text = error.args[0].str() if isinstance(error, KafkaException) else error
        raise SettingsError(f"--kafka: {text}. Correct what was given by --kafka KEY=VALUE.") from error


def open_outside_group(
    properties: Properties, name: str, *, committed: bool = True, heard: Heard | None = None
) -> Consumer:
    """A consumer that joins no group. It has the name of one, as librdkafka requires: it can ask for its positions.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them.
        name: of the client, in the broker's log.
        committed: read_committed: partitions end at the last stable offset. Else read_uncommitted.
    """
    own = {
        "client.id": f"stream-scorer-{name}",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    return open_client(Consumer, {**properties, **own}, heard=heard)


class ConsumerPair:
    """Two consumers outside the group, one for each isolation level, which decides what a broker answers.

    Each is opened at its first use, also after a `close`. Close the pair after an error: a consumer that has seen a broker
    restart keeps old leader epochs and may never get an answer.
    """

    def __init__(self, properties: Properties, name: str) -> None:
        self._properties, self._name = properties, name
        self._opened: dict[bool, Consumer] = {}

    @property
    def committed(self) -> Consumer:
        """Partitions end at the last stable offset. No answer for a position in an open transaction."""
        return self._of(True)

    @property
    def uncommitted(self) -> Consumer:
        """Partitions end at the high watermark. Positions are given even while a transaction may change them."""
        return self._of(False)

    def _of(self, committed: bool) -> Consumer:
        if committed not in self._opened:
            self._opened[committed] = open_outside_group(self._properties, self._name, committed=committed)
        return self._opened[committed]

    def close(self) -> None:
        while self._opened:
            with contextlib.suppress(KafkaException):
                self._opened.popitem()[1].close()
