"""Reads dead letters, and says which of their records cannot be sent again, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.reader import read_topic
from stream_scorer.kafka.retention import AFTER, BEFORE, Keeping, day
from stream_scorer.records import Headers, Record

OURS = ("__streams.errors.", "__scorer.")
RESUBMITTED = "__scorer.resubmitted"


class DeadLetter(NamedTuple):
    """One record of a dead-letter topic. `facts`: the values of our headers, by name without prefix."""

    record: Record
    facts: dict[str, str]

    @property
    def place(self) -> str:
        """PARTITION@OFFSET on the dead-letter topic."""
        return f"{self.record.partition.number}@{self.record.offset}"

    @property
    def source(self) -> str:
        """Where the record came from, as topic[partition]@offset."""
        facts = self.facts
        return f"{facts.get('topic', '?')}[{facts.get('partition', '?')}]@{facts.get('offset', '?')}"

    @property
    def incomplete(self) -> str | None:
        """Which parts of the record are not in the letter, in words; None if it is complete."""
        facts, lacks = self.facts, []
        for part, length in (("value", len(self.record.value or b"")), ("key", len(self.record.key or b""))):
            if f"{part}.length" in facts:
                lacks.append(f"its {part} is incomplete ({length:,} of {facts[f'{part}.length']} bytes)")
        if "headers.dropped" in facts:
            lacks.append(f"{facts['headers.dropped']} of its headers are missing")
        if "headers.unreadable" in facts:
            lacks.append("its headers could not be read")
        return ", ".join(lacks) or None

    def original_key(self) -> bytes | None:
        return None if "key.null" in self.facts else self.record.key

    def original_timestamp(self) -> int | None:
        """In ms since 1970; None if the record had none."""
        timestamp = self.facts.get("timestamp")
        return self.record.timestamp if timestamp is None else int(timestamp)

    def original_headers(self) -> Headers:
        return [header for header in self.record.headers or [] if not header[0].startswith(OURS)]


def read_dead_letters(properties: Properties, topic: str) -> Iterator[DeadLetter]:
    """All letters that are on the topic at the call. Blocks while it reads. Raises BrokerError, Unavailable."""
    for record in read_topic(properties, topic):
        yield DeadLetter(record, facts_of(record.headers))


def facts_of(headers: Headers | None) -> dict[str, str]:
    """The values of headers with our names, by name without prefix, whoever wrote them.

    No value becomes an empty text, and bytes that are not UTF-8 are replaced.
    """
    facts = {}
    for name, value in headers or []:
        if name.startswith(OURS):
            text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
            facts[name.removeprefix(OURS[0]).removeprefix(OURS[1])] = text
    return facts


def select(letters: Iterable[DeadLetter], places: Iterable[str]) -> list[DeadLetter]:
    """The letters at these places, PARTITION@OFFSET, in this order. Raises SettingsError: one does not exist."""
    by_place = {letter.place: letter for letter in letters}
    places = list(dict.fromkeys(places))
    missing = [place for place in places if place not in by_place]
    if missing:
        raise SettingsError(
            f"no dead letter at {', '.join(missing)}: `stream-scorer dead-letters list` shows those that exist."
        )
    return [by_place[place] for place in places]


def obstacles(
    letters: Iterable[DeadLetter], to: str | None, partitions: Callable[[str], int], keepings: Mapping[str, Keeping]
) -> Iterator[tuple[DeadLetter, str | None]]:
    """Each letter with the reason why its record cannot be sent again; None if no reason is known.

    Args:
        to: the topic to send to, instead of where the record came from.
        partitions: the partition count of a topic; 0: it does not exist.
        keepings: what topics take and keep, as far as that is known.
    """
    now_ms = time.time_ns() // 1_000_000
    for letter in letters:
        target = to or letter.facts.get("topic", "")
        yield (
            letter,
            _incomplete(letter)
            or _misplaced(letter, to, partitions)
            or _not_taken(letter, keepings.get(target), now_ms),
        )


def _incomplete(letter: DeadLetter) -> str | None:
    if lacks := letter.incomplete:
        return f"{lacks}. The whole record is {letter.source}, while that topic keeps it"
    return None


def _misplaced(letter: DeadLetter, to: str | None, partitions: Callable[[str], int]) -> str | None:
    if to is not None:
        return None
    topic, number = letter.facts.get("topic"), letter.facts.get("partition", "")
    if not topic or not number.isdecimal():
        return f"its headers {OURS[0]}topic and partition do not say where it came from: give --to TOPIC"
    count = partitions(topic)
    if not count:
        return f"topic {topic!r} does not exist: create it, or give --to TOPIC"
    if int(number) >= count:
        return f"topic {topic!r} has {count} partitions, and it came from partition {number}: give --to TOPIC"
    return None


def _not_taken(letter: DeadLetter, keeping: Keeping | None, now_ms: int) -> str | None:
    if keeping is None:
        return None
    if keeping.compacts and letter.original_key() is None:
        return f"topic {keeping.topic!r} is compacted (cleanup.policy) and takes no record without a key"
    at = letter.original_timestamp()
    if at is None or keeping.own_time:
        return None
    for name, limit, beyond in ((BEFORE, keeping.before_ms, now_ms - at), (AFTER, keeping.after_ms, at - now_ms)):
        if beyond > limit:
            return f"topic {keeping.topic!r} does not take its timestamp, {at} ms of {day(at)} ({name}={limit})"
    return None
