"""The ids of topics: a topic that was deleted and created again has its old name and another id."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.errors import MISSING, unreachable

TIMEOUT_S = 5.0
FRESH_S = 0.1
"""An answer of this age still holds. A consumer that meets a new topic behind a name asks for metadata first, and waits
`fetch.error.backoff.ms`, 500 ms, before it reads: an answer of this age was given before it read any new record."""
GONE_S = 60.0
"""How long a topic may be missing, as it may be created again."""
_UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers older than topic ids


class TopicIds:
    """Looks up topic ids, and notices if one changes.

    Args:
        properties: of an AdminClient, as `kafka_config.common` returns them.
        seen: called with a topic and its partition count after each answer, inside `look_up` and `check`. It may raise.
    """

    def __init__(self, properties: Properties, seen: Callable[[str, int], None] = lambda *_: None) -> None:
        self._seen = seen
        self._admin = open_client(AdminClient, properties)
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._controller: bool | None = None
        self._gone_since: float | None = None
        self._asked_at = 0.0
        self._asked: dict[str, Future[Any]] = {}

    def known(self, topic: str) -> str:
        """The id of the last `look_up`; "" if there was none, or if the broker has no ids."""
        return self._known.get(topic, "")

    def partitions(self, topic: str) -> int:
        """The partition count of the last answer, 0 if there was none."""
        return self._counts.get(topic, 0)

    def look_up(self, topic: str) -> str:
        """The id of a topic now, "" if the broker has no ids. Blocks for up to 6 s.

        Raises Unavailable: no answer, or the topic is missing for less than a minute. BrokerError: it is missing.
        """
        if not self._has_controller():
            return ""
        topic_id = self._known[topic] = self._answer(topic, self._describe([topic])[topic])
        return topic_id

    def _has_controller(self) -> bool:
        """librdkafka's mock cluster has none, and a request to describe topics waits for one."""
        if not self._controller:
            try:
                self._controller = not kafka_answers.is_mock_cluster(kafka_answers.cluster(self._admin, TIMEOUT_S))
            except KafkaException as error:
                raise unreachable("no description of topics", error.args[0]) from error
        return self._controller

    def ask(self) -> None:
        """Begin to look up the ids of all known topics again, unless the last answer is fresh. Does not block."""
        now = time.monotonic()
        if not self._asked and self._known and now - self._asked_at > FRESH_S:
            self._asked_at = now
            self._asked = self._describe(list(self._known))

    def check(self) -> None:
        """Wait for the answer to `ask`, up to 6 s. Raises Unavailable if a topic is missing or is another one by now."""
        asked, self._asked = self._asked, {}
        for topic, future in asked.items():
            topic_id, known = self._answer(topic, future), self._known.get(topic, "")
            if known and topic_id != known:
                raise Unavailable(f"topic {topic!r} was deleted and created again (id {known}, now {topic_id})")

    def _describe(self, topics: list[str]) -> dict[str, Future[Any]]:
        futures: dict[str, Future[Any]] = self._admin.describe_topics(
            TopicCollection(topics), request_timeout=TIMEOUT_S
        )
        return futures

    def _answer(self, topic: str, future: Future[Any]) -> str:
        try:
            description = future.result(TIMEOUT_S + 1)
        except KafkaException as error:
            raise self._problem(topic, error) from error
        except TimeoutError as error:
            raise Unavailable(f"topic {topic!r}: no description in {TIMEOUT_S:.0f} s") from error
        self._gone_since = None
        self._counts[topic] = len(description.partitions)
        self._seen(topic, self._counts[topic])
        topic_id = str(description.topic_id)
        return "" if topic_id == _UNKNOWN else topic_id

    def _problem(self, topic: str, error: KafkaException) -> BrokerError | Unavailable:
        """A topic that is deleted and created again is missing for a moment."""
        if error.args[0].code() in MISSING:
            now = time.monotonic()
            self._gone_since = self._gone_since or now
            if now - self._gone_since < GONE_S:
                return Unavailable(f"topic {topic!r} is gone; waiting up to {GONE_S:.0f} s for it to be created again")
            return BrokerError(f"topic {topic!r} is gone: create it again, or correct --input-topic.")
        return unreachable(f"topic {topic!r}: no description", error.args[0])
