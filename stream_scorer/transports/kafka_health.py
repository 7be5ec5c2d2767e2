"""Whether a consumer still finds its broker and its group, and whether a new one would."""

from __future__ import annotations

import json
import logging
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_scorer.transports.kafka_config import Properties, open_client

log = logging.getLogger(__name__)

HEARD_EVERY_MS = 2_000
ILL_S = 8.0
"""So long a consumer may be without broker or group before a new one is tried beside it."""
_ANSWER_S = 2.0


class Health:
    """Of the one consumer of a source.

    A broker that answers while it is fenced, as after a pause, gives metadata without any broker. librdkafka may then
    drop the only broker it knows, and its group's coordinator with it, for good: it never asks again.

    Args:
        properties: of the consumer, without callbacks.
        topic: one that its group reads.
    """

    def __init__(self, properties: Properties, topic: str) -> None:
        self._properties = {**properties, "client.id": "stream-scorer-check"}
        self._place = TopicPartition(topic, 0)
        self.connected = True
        """Whether a broker was connected lately: without records there is nothing else to tell it by."""
        self.renew()

    def heard(self, statistics: str) -> None:
        """librdkafka's statistics, every 2 s."""
        told = json.loads(statistics)
        self.connected = any(broker["state"] == "UP" for broker in told["brokers"].values())
        if self.connected and told.get("cgrp", {}).get("state") == "up":
            self._well_at = time.monotonic()

    def renew(self) -> None:
        """The consumer is a new one."""
        self._well_at = self._tried_at = time.monotonic()

    def ill(self) -> bool:
        """Whether it has been without broker or group for long, and was not looked at just now."""
        return time.monotonic() - max(self._well_at, self._tried_at) > ILL_S

    def another_would_do(self) -> bool:
        """Whether a consumer opened anew gets an answer of the group. Blocks for some 2 s."""
        self._tried_at = time.monotonic()
        consumer = open_client(Consumer, self._properties)
        try:
            (found,) = consumer.committed([self._place], timeout=_ANSWER_S)
        except KafkaException:
            return False
        else:
            return found.error is None
        finally:
            consumer.close()
