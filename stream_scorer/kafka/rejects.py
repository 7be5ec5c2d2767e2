"""A reject as a record of the dead-letter topic, made plainer each time it is refused there.

First as it is, shortened only to what our own producer sends. Then with the present time and with a key, as the topic may
refuse old timestamps and records without a key. Then as small as any topic takes. Headers say what was changed.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from stream_scorer.kafka.config import stamp
from stream_scorer.records import UNREADABLE_HEADERS, Headers, Reject

PREFIX = "__scorer."
PLAIN_SIZE = 8_000
"""Bytes of the plainest form."""
_TEXTS = ("__streams.errors.message", "__streams.errors.stacktrace")
_SHORT = 1_000
_RECORD, _HEADER, _CUT_HEADERS = 150, 12, 200
"""Bytes of overhead: of a record alone in its batch, of a header, of the headers that say that a value was cut."""


class Letter(NamedTuple):
    """A dead letter as the producer takes it. `timestamp` in ms; 0: the time of sending."""

    value: bytes | None
    key: bytes | None
    timestamp: int
    headers: Headers


def dead_letter(reject: Reject, reasons: Headers, max_size: int) -> Letter:
    """The dead letter of a reject, in the form for its number of refusals.

    Args:
        reasons: headers that say why it was rejected.
        max_size: most bytes of a record that the producer sends.
    """
    source = reject.source
    key, timestamp, changes = source.key, stamp(source.timestamp), Headers()
    if source.headers is UNREADABLE_HEADERS:
        changes.append((f"{PREFIX}headers.unreadable", b"a name is not UTF-8"))
    if reject.refusals:
        if timestamp:
            changes.append((f"{PREFIX}timestamp", b"%d" % (source.timestamp or 0)))
            timestamp = 0
        if key is None:
            changes.append((f"{PREFIX}key.null", b"true"))
            key = b"%s/%d/%d" % (source.partition.topic.encode(), source.partition.number, source.offset)
    max_size = min(max_size, PLAIN_SIZE) if reject.refusals > 1 else max_size
    letter = Letter(source.value, key, timestamp, [*(source.headers or []), *reasons, *changes])
    return _fit(letter, len(reasons + changes), max_size)


def _fit(letter: Letter, ours: int, max_size: int) -> Letter:
    """Shortened to `max_size` bytes: the end of long texts goes first, then large headers, the end of a large key and of
    the value. `ours`: how many of the last headers are ours."""
    if _size(letter) <= max_size:
        return letter
    given, own = letter.headers[:-ours], [(name, _short(name, value)) for name, value in letter.headers[-ours:]]
    letter = letter._replace(headers=given + own)
    if _size(letter) <= max_size:
        return letter
    kept, left = Headers(), max_size // 8
    for header in given:
        if _header(header) <= left:
            left -= _header(header)
            kept.append(header)
    if len(kept) < len(given):
        own.append((f"{PREFIX}headers.dropped", b"%d" % (len(given) - len(kept))))
    letter = letter._replace(key=_cut("key", letter.key, max_size // 8, own), headers=kept + own)
    left = max_size - _size(letter._replace(value=None)) - _CUT_HEADERS
    value = _cut("value", letter.value, max(0, left), own)
    return letter._replace(value=value, headers=kept + own)


def _cut(part: str, data: bytes | None, size: int, own: Headers) -> bytes | None:
    """The first `size` bytes. Length and hash of the whole are added to the headers."""
    if data is None or len(data) <= size:
        return data
    own += [
        (f"{PREFIX}{part}.length", b"%d" % len(data)),
        (f"{PREFIX}{part}.sha256", hashlib.sha256(data).hexdigest().encode()),
    ]
    return data[:size]


def _short(name: str, value: str | bytes | None) -> str | bytes | None:
    return value[:_SHORT] if value and name in _TEXTS else value


def _size(letter: Letter) -> int:
    return _RECORD + len(letter.key or b"") + len(letter.value or b"") + sum(map(_header, letter.headers))


def _header(header: tuple[str, str | bytes | None]) -> int:
    name, value = header
    return _HEADER + len(name.encode()) + len(value or b"")
