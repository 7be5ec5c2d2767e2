"""A reject as a record of the dead-letter topic, made plainer each time it is refused there.

First as it is, cut only to what our own producer sends. Then with the time of now and with a key, should the topic
refuse an old timestamp or none of a key. Then as small as any topic takes. What was changed, headers tell.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from stream_scorer.kafka.config import stamp
from stream_scorer.records import UNREADABLE_HEADERS, Headers, Reject

PREFIX = "__scorer."
PLAIN_ROOM = 8_000
"""Bytes of the smallest form."""
_TEXTS = ("__streams.errors.message", "__streams.errors.stacktrace")
_SHORT = 1_000
_RECORD, _HEADER, _TOLD = 150, 12, 200
"""Bytes that count besides: of a record alone in its batch, of a header, of what tells that a value was cut."""


class Letter(NamedTuple):
    """`timestamp` in ms, 0: now."""

    value: bytes | None
    key: bytes | None
    timestamp: int
    headers: Headers


def dead_letter(reject: Reject, ours: Headers, room: int) -> Letter:
    """Args: ours: headers that say why it was rejected. room: bytes that the producer sends at most."""
    source = reject.source
    key, timestamp, told = source.key, stamp(source.timestamp), Headers()
    if source.headers is UNREADABLE_HEADERS:
        told.append((f"{PREFIX}headers.unreadable", b"a name is not UTF-8"))
    if reject.refusals:
        if timestamp:
            told.append((f"{PREFIX}timestamp", b"%d" % (source.timestamp or 0)))
            timestamp = 0
        if key is None:
            told.append((f"{PREFIX}key.null", b"true"))
            key = b"%s/%d/%d" % (source.partition.topic.encode(), source.partition.number, source.offset)
    room = min(room, PLAIN_ROOM) if reject.refusals > 1 else room
    return _fit(Letter(source.value, key, timestamp, [*(source.headers or []), *ours, *told]), len(ours + told), room)


def _fit(letter: Letter, ours: int, room: int) -> Letter:
    """What is dear to nobody first: the end of long texts, large headers, the end of a large key, of the value."""
    if _size(letter) <= room:
        return letter
    given, told = letter.headers[:-ours], [(name, _short(name, value)) for name, value in letter.headers[-ours:]]
    letter = letter._replace(headers=given + told)
    if _size(letter) <= room:
        return letter
    kept, left = Headers(), room // 8
    for header in given:
        if _header(header) <= left:
            left -= _header(header)
            kept.append(header)
    if len(kept) < len(given):
        told.append((f"{PREFIX}headers.dropped", b"%d" % (len(given) - len(kept))))
    letter = letter._replace(key=_cut("key", letter.key, room // 8, told), headers=kept + told)
    left = room - _size(letter._replace(value=None)) - _TOLD
    value = _cut("value", letter.value, max(0, left), told)
    return letter._replace(value=value, headers=kept + told)


def _cut(what: str, data: bytes | None, room: int, told: Headers) -> bytes | None:
    """Its beginning; length and hash of the whole go with it."""
    if data is None or len(data) <= room:
        return data
    told += [
        (f"{PREFIX}{what}.length", b"%d" % len(data)),
        (f"{PREFIX}{what}.sha256", hashlib.sha256(data).hexdigest().encode()),
    ]
    return data[:room]


def _short(name: str, value: str | bytes | None) -> str | bytes | None:
    return value[:_SHORT] if value and name in _TEXTS else value


def _size(letter: Letter) -> int:
    return _RECORD + len(letter.key or b"") + len(letter.value or b"") + sum(map(_header, letter.headers))


def _header(header: tuple[str, str | bytes | None]) -> int:
    name, value = header
    return _HEADER + len(name.encode()) + len(value or b"")
