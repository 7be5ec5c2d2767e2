"""A note beside the state of a session: the forecast that waits for the value it is of.

At rest it is one more value behind the model's own, as `state.values` writes bytes, always of one size. So
a state without a note can be read where notes are expected, and one with a note where none is wanted.
"""

from __future__ import annotations

import struct

from stream_scorer.records import Note
from stream_scorer.state import values

_FORM = struct.Struct("<4sB4d3q")  # mark, which of the rest are there, the four numbers, offset, timestamp, due
_MARK = b"note"
_THERE, _LOW, _HIGH, _TIME, _DUE = 1, 2, 4, 8, 16
NOTHING = values.dump([_FORM.pack(_MARK, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)])
"""In the place of a note."""
SIZE = len(NOTHING)
"""Of every note, bytes."""
_HEAD = NOTHING[: -_FORM.size]
_DUE_SIZE = 8
_UNDATED = values.dump([bytes(_FORM.size - _DUE_SIZE)])
"""As notes were before forecasts had dates: the same less `due`, which is last."""
_UNDATED_HEAD = _UNDATED[: _DUE_SIZE - _FORM.size]


class Pending:
    """The place of a note while a batch lasts: taken at its record, filled once the batch is forecast."""

    __slots__ = ("note",)

    def __init__(self, note: Note | None = None) -> None:
        self.note = note


def pack(note: Note | None) -> bytes:
    """SIZE bytes."""
    if note is None:
        return NOTHING
    forecast, naive, low, high, offset, timestamp, due = note
    bounds = 0.0 if low is None else low, 0.0 if high is None else high
    there = _THERE | (low is not None) * _LOW | (high is not None) * _HIGH
    there |= (timestamp is not None) * _TIME | (due is not None) * _DUE
    return _HEAD + _FORM.pack(_MARK, there, forecast, naive, *bounds, offset, timestamp or 0, due or 0)


def unpack(kept: bytes) -> Note | None:
    """Of the last SIZE bytes."""
    _, there, forecast, naive, low, high, offset, timestamp, due = _FORM.unpack_from(kept, len(kept) - _FORM.size)
    if not there:
        return None
    return Note(
        forecast,
        naive,
        low if there & _LOW else None,
        high if there & _HIGH else None,
        offset,
        timestamp if there & _TIME else None,
        due if there & _DUE else None,
    )


def apart(state: bytes, count: int) -> tuple[bytes, bytes]:
    """A saved state of `count` values, and its note. Raises ValueError on bytes that are no state."""
    tail = state[-SIZE:]
    # The mark may stand in the model's own last value as well; the number of values tells. It is asked last, as
    # all sessions of a partition come through here when it is restored.
    if tail.startswith(_HEAD + _MARK) and len(values.load(state)) == count + 1:
        return state[:-SIZE], tail
    tail = state[-len(_UNDATED) :]
    if tail.startswith(_UNDATED_HEAD + _MARK) and len(values.load(state)) == count + 1:
        return state[: -len(_UNDATED)], _HEAD + tail[len(_UNDATED_HEAD) :] + bytes(_DUE_SIZE)
    return state, NOTHING
