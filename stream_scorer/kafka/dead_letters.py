"""Records that could not be scored, as they lie on their topic, and what is in their way back."""

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
    """One record of a dead-letter topic. `told`: what our headers say, by name without prefix."""

    record: Record
    told: dict[str, str]

    @property
    def place(self) -> str:
        """PARTITION@OFFSET on the dead-letter topic."""
        return f"{self.record.partition.number}@{self.record.offset}"

    @property
    def source(self) -> str:
        """Where it came from, as topic[partition]@offset."""
        told = self.told
        return f"{told.get('topic', '?')}[{told.get('partition', '?')}]@{told.get('offset', '?')}"

    @property
    def incomplete(self) -> str | None:
        """What of the record did not fit into the letter, as text; None if nothing."""
        told, parts = self.told, []
        for what, length in (("value", len(self.record.value or b"")), ("key", len(self.record.key or b""))):
            if f"{what}.length" in told:
                parts.append(f"its {what} is incomplete ({length:,} of {told[f'{what}.length']} bytes)")
        if "headers.dropped" in told:
            parts.append(f"{told['headers.dropped']} of its headers are missing")
        if "headers.unreadable" in told:
            parts.append("its headers could not be read")
        return ", ".join(parts) or None

    def original_key(self) -> bytes | None:
        return None if "key.null" in self.told else self.record.key

    def original_timestamp(self) -> int | None:
        """In ms since 1970."""
        told = self.told.get("timestamp")
        return self.record.timestamp if told is None else int(told)

    def original_headers(self) -> Headers:
        return [header for header in self.record.headers or [] if not header[0].startswith(OURS)]


def read_dead_letters(properties: Properties, topic: str) -> Iterator[DeadLetter]:
    """All there are now. Raises BrokerError, Unavailable."""
    for record in read_topic(properties, topic):
        yield DeadLetter(record, told_by(record.headers))


def told_by(headers: Headers | None) -> dict[str, str]:
    """What headers of ours say, whoever wrote them: no value is an empty text, and what is no UTF-8 is replaced."""
    told = {}
    for name, value in headers or []:
        if name.startswith(OURS):
            text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
            told[name.removeprefix(OURS[0]).removeprefix(OURS[1])] = text
    return told


def chosen(letters: Iterable[DeadLetter], places: Iterable[str]) -> list[DeadLetter]:
    """Those at the given PARTITION@OFFSET places. Raises SettingsError on one that is not there."""
    found = {letter.place: letter for letter in letters}
    places = list(dict.fromkeys(places))
    missing = [place for place in places if place not in found]
    if missing:
        raise SettingsError(
            f"no dead letter at {', '.join(missing)}: `stream-scorer dead-letters list` tells what is there."
        )
    return [found[place] for place in places]


def obstacles(
    letters: Iterable[DeadLetter], to: str | None, partitions: Callable[[str], int], keepings: Mapping[str, Keeping]
) -> Iterator[tuple[DeadLetter, str | None]]:
    """Each letter with why its record cannot be sent again; None if nothing is known against it.

    Args:
        to: the topic to send to, instead of where it came from.
        partitions: how many a topic has; 0: there is no such topic.
        keepings: what topics take, as far as that is known.
    """
    now_ms = time.time_ns() // 1_000_000
    for letter in letters:
        target = to or letter.told.get("topic", "")
        yield (
            letter,
            _incomplete(letter)
            or _misplaced(letter, to, partitions)
            or _not_taken(letter, keepings.get(target), now_ms),
        )


def _incomplete(letter: DeadLetter) -> str | None:
    if why := letter.incomplete:
        return f"{why}. The whole record is {letter.source}, while that topic keeps it"
    return None


def _misplaced(letter: DeadLetter, to: str | None, partitions: Callable[[str], int]) -> str | None:
    if to is not None:
        return None
    topic, number = letter.told.get("topic"), letter.told.get("partition", "")
    if not topic or not number.isdecimal():
        return f"its headers {OURS[0]}topic and partition do not say where it came from: give --to TOPIC"
    count = partitions(topic)
    if not count:
        return f"topic {topic!r} is not there: create it, or give --to TOPIC"
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
