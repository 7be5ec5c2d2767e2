"""Reads dead letters, and says which of their records cannot be sent again, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.reader import read_topic
from stream_scorer.kafka.retention import AFTER, BEFORE, Keeping, day
from stream_scorer.records import Headers, Record

OURS = ("__streams.errors.", "__scorer.")
RESUBMITTED = "__scorer.resubmitted"
_EXCEPTION = "__streams.errors.exception"
_MAX_MS, _PARTITION_DIGITS = 2**63 - 1, 9


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
        """In ms since 1970; None if the record had none, or if the header that tells it is not a time."""
        timestamp = self.facts.get("timestamp")
        return self.record.timestamp if timestamp is None else _number(timestamp, _MAX_MS)

    def original_partition(self) -> int | None:
        """The number of the partition; None if no header tells it."""
        return _number(self.facts.get("partition", ""), 10**_PARTITION_DIGITS)

    def original_headers(self) -> Headers:
        return [header for header in self.record.headers or [] if not header[0].startswith(OURS)]


def read_dead_letters(properties: Properties, topic: str) -> Iterator[DeadLetter]:
    """All letters that are on the topic at the call. Blocks while it reads. Raises BrokerError, Unavailable."""
    for record in read_topic(properties, topic):
        yield DeadLetter(record, facts_of(record.headers))


def facts_of(headers: Headers | None) -> dict[str, str]:
    """The values of headers with our names, by name without prefix, whoever wrote them.

    No value becomes an empty text, and bytes that are not UTF-8 are replaced. Of several headers of a name the last counts,
    as ours are written behind those of the record; and those that say how the record was changed, only behind the reason.
    """
    headers = headers or []
    reason = max((at for at, (name, _) in enumerate(headers) if name == _EXCEPTION), default=0)
    facts = {}
    for at, (name, value) in enumerate(headers):
        if name.startswith(OURS) and (at >= reason or name.startswith(OURS[0])):
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
    letters: Iterable[DeadLetter],
    to: str | None,
    allowed: Collection[str],
    partitions: Callable[[str], int],
    keepings: Mapping[str, Keeping],
) -> Iterator[tuple[DeadLetter, str | None]]:
    """Each letter with the reason why its record cannot be sent again; None if no reason is known.

    Args:
        to: the topic to send to, instead of where the record came from.
        allowed: the topics that may be sent to if `to` is None: whoever writes a dead letter says where it came from.
        partitions: the partition count of a topic; 0: it does not exist.
        keepings: what topics take and keep, as far as that is known.
    """
    now_ms = time.time_ns() // 1_000_000
    for letter in letters:
        target = to or letter.facts.get("topic", "")
        yield (
            letter,
            _incomplete(letter)
            or _misplaced(letter, to, allowed, partitions)
            or _not_taken(letter, keepings.get(target), now_ms),
        )


def _number(text: str, limit: int) -> int | None:
    """A whole number from 0 to `limit`; None if the text is none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 20 or int(text) > limit:
        return None
    return int(text)


def _incomplete(letter: DeadLetter) -> str | None:
    if "timestamp" in letter.facts and letter.original_timestamp() is None:
        return f"its header {OURS[1]}timestamp is {letter.facts['timestamp'][:40]!r}, which is no time in ms since 1970"
    if lacks := letter.incomplete:
        return f"{lacks}. The whole record is {letter.source}, while that topic keeps it"
    return None


def _misplaced(
    letter: DeadLetter, to: str | None, allowed: Collection[str], partitions: Callable[[str], int]
) -> str | None:
    if to is not None:
        return None
    topic, number = letter.facts.get("topic"), letter.original_partition()
    if not topic or number is None:
        return f"its headers {OURS[0]}topic and partition do not say where it came from: give --to TOPIC"
    if topic not in allowed:
        return (
            f"its header says that it came from topic {topic[:249]!r}, and this command may write to "
            f"{', '.join(map(repr, sorted(allowed))) or 'none'} only: if that is right, give --allow TOPIC"
        )
    count = partitions(topic)
    if not count:
        return f"topic {topic!r} does not exist: create it, or give --to TOPIC"
    if number >= count:
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
