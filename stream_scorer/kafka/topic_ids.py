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
"""An answer so old still holds. A consumer that meets a new topic behind a name asks for metadata first, and waits
`fetch.error.backoff.ms`, 500 ms, before it reads: a look at most this old was taken before it read anything new."""
GONE_S = 60.0
_UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers older than topic ids


class TopicIds:
    """Looks up topic ids, and notices when one changes.

    Args:
        properties: of an AdminClient, as `kafka_config.common` gives them.
        seen: called with the partition count of a topic after each look, from `look_up` and `check`. It may raise.
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
        """The id that `look_up` found last; "" if it has not, or if the broker has no ids."""
        return self._known.get(topic, "")

    def partitions(self, topic: str) -> int:
        """How many partitions a topic had at the last look, 0 if there was none."""
        return self._counts.get(topic, 0)

    def look_up(self, topic: str) -> str:
        """The id of a topic now, "" if the broker has no ids. Blocks for up to 6 s.

        Raises Unavailable: no answer, or no such topic for less than a minute. BrokerError: no such topic.
        """
        if not self._has_controller():
            return ""
        found = self._answer(topic, self._describe([topic])[topic])
        self._known[topic] = found
        return found

    def _has_controller(self) -> bool:
        """A stand-in for a broker has none, and whoever asks for descriptions waits for one."""
        if not self._controller:
            try:
                self._controller = not kafka_answers.is_mock_cluster(kafka_answers.cluster(self._admin, TIMEOUT_S))
            except KafkaException as error:
                raise unreachable("no description of topics", error.args[0]) from error
        return self._controller

    def ask(self) -> None:
        """Begin to look up the ids of all known topics again, unless that was done just now. Does not block."""
        now = time.monotonic()
        if not self._asked and self._known and now - self._asked_at > FRESH_S:
            self._asked_at = now
            self._asked = self._describe(list(self._known))

    def check(self) -> None:
        """Wait for what `ask` began, up to 6 s. Raises Unavailable if a topic is gone or is another one by now."""
        asked, self._asked = self._asked, {}
        for topic, future in asked.items():
            found, known = self._answer(topic, future), self._known.get(topic, "")
            if known and found != known:
                raise Unavailable(f"topic {topic!r} was deleted and created again (id {known}, now {found})")

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
        found = str(description.topic_id)
        return "" if found == _UNKNOWN else found

    def _problem(self, topic: str, error: KafkaException) -> BrokerError | Unavailable:
        """A topic that is about to be created again is gone for a moment."""
        if error.args[0].code() in MISSING:
            now = time.monotonic()
            self._gone_since = self._gone_since or now
            if now - self._gone_since < GONE_S:
                return Unavailable(f"topic {topic!r} is gone; waiting up to {GONE_S:.0f} s for it to be created again")
            return BrokerError(f"topic {topic!r} is gone: create it again, or correct --input-topic.")
        return unreachable(f"topic {topic!r}: no description", error.args[0])
