"""Publishes rows to a topic, as fast as the broker takes them or at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_scorer.errors import BrokerError
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.config import stamp
from stream_scorer.kafka.errors import UNAUTHORISED, classify, raised
from stream_scorer.kafka.replay_rows import Row
from stream_scorer.ports import Codec

FLUSH_S = 60.0
TIMESTAMP_REFUSED = (
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_RECORD,
    KafkaError._INVALID_DIFFERENT_RECORD,
)


class Replayer:
    """Publishes rows of one key in order, each once (idempotent producer).

    Args:
        dated: whether records get the time of their row; False: the time of sending.
    """

    def __init__(
        self, properties: Properties, topic: str, codec: Codec, key: bytes | None, *, dated: bool = True
    ) -> None:
        self._producer = open_client(Producer, properties)
        self._topic, self._codec, self._key = topic, codec, key
        self._dated = dated
        self._failed: str | None = None
        self._refused: KafkaError | None = None

    def send(self, rows: Iterable[Row], rate: float | None, on_sent: Callable[[int], None]) -> int:
        """Publishes all rows and waits until the broker has them. Returns how many. Blocks.

        Args:
            rate: records per second; None: as fast as the broker takes them.
            on_sent: called after each row with the number so far.
        Raises:
            BrokerError: the broker refuses a record, or does not acknowledge all within 60 s after the last.
        """
        started, count = time.monotonic(), 0
        for row in rows:
            if rate is not None:
                self._wait_until(started + count / rate)
            self._produce(row)
            count += 1
            on_sent(count)
        left = self._flush()
        self._check()
        if left:
            raise BrokerError(f"{left} of {count} records not acknowledged in {FLUSH_S:.0f} s. Is the broker there?")
        return count

    def _flush(self) -> int:
        """Wait for acknowledgements. Returns how many are missing. In short calls: Ctrl-C works between them."""
        deadline = time.monotonic() + FLUSH_S
        while (left := self._ask(lambda: self._producer.flush(0.2))) and time.monotonic() < deadline:
            pass
        return left

    def _poll(self, seconds: float) -> None:
        self._ask(lambda: self._producer.poll(seconds))

    def _ask(self, call: Callable[[], int]) -> int:
        try:
            return call()
        except (KafkaException, SystemError) as error:
            raise raised(error) from error

    def _produce(self, row: Row) -> None:
        value = self._codec.encode(row.value)
        timestamp = stamp(row.timestamp if self._dated else None)
        while True:
            try:
                self._producer.produce(self._topic, value, self._key, timestamp=timestamp, on_delivery=self._delivered)
            except BufferError:
                self._poll(0.1)
            except KafkaException as error:
                if error.args[0].code() in UNAUTHORISED:
                    raise classify(error.args[0]) from error
                raise BrokerError(f"topic {self._topic!r}: {error.args[0].str()}") from error
            else:
                break
        self._poll(0)
        self._check()

    def _wait_until(self, when: float) -> None:
        while (left := when - time.monotonic()) > 0:
            self._poll(min(left, 0.1))

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and error.code() in UNAUTHORISED:
            self._refused = self._refused or error
        if error is not None and self._failed is None:
            self._failed = f"{error.str()} ({error.name()})."
            if error.code() in TIMESTAMP_REFUSED:
                self._failed += (
                    " Is a date in the future, or older than the topic takes? See its message.timestamp.before.max.ms and"
                    " message.timestamp.after.max.ms."
                )

    def _check(self) -> None:
        if self._refused is not None:
            raise classify(self._refused)
        if self._failed is not None:
            raise BrokerError(f"topic {self._topic!r}: a record was not taken: {self._failed}")
