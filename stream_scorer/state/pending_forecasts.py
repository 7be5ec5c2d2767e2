"""A forecast that waits in a session for the value it forecasts, as bytes behind the session's state.

It is written as one more value of the state, always of one size. So a state without a pending forecast can be read by a
service that judges forecasts, and a state with one by a service that does not.
"""

from __future__ import annotations

import struct

from stream_scorer.records import PendingForecast
from stream_scorer.state import values

_CONTENT = struct.Struct("<4sB4d3q")  # mark, flags, forecast, naive, low, high, offset, timestamp, due
_MARK = b"note"
_PRESENT, _LOW, _HIGH, _TIMESTAMP, _DUE = 1, 2, 4, 8, 16
NO_FORECAST = values.dump([_CONTENT.pack(_MARK, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)])
"""What is written if no forecast waits."""
PACKED_SIZE = len(NO_FORECAST)
"""Bytes that `pack` returns."""
_HEAD = NO_FORECAST[: -_CONTENT.size]
_DUE_SIZE = 8
_UNDATED = values.dump([bytes(_CONTENT.size - _DUE_SIZE)])
"""The size written by versions whose forecasts had no date: the same without `due`, which is last."""
_UNDATED_HEAD = _UNDATED[: _DUE_SIZE - _CONTENT.size]


class Placeholder:
    """Stands for a pending forecast while a batch is scored: made at its record, filled when the batch is forecast."""

    __slots__ = ("forecast",)

    def __init__(self, forecast: PendingForecast | None = None) -> None:
        self.forecast = forecast


def pack(pending: PendingForecast | None) -> bytes:
    """PACKED_SIZE bytes."""
    if pending is None:
        return NO_FORECAST
    forecast, naive, low, high, offset, timestamp, due = pending
    bounds = 0.0 if low is None else low, 0.0 if high is None else high
    flags = _PRESENT | (low is not None) * _LOW | (high is not None) * _HIGH
    flags |= (timestamp is not None) * _TIMESTAMP | (due is not None) * _DUE
    return _HEAD + _CONTENT.pack(_MARK, flags, forecast, naive, *bounds, offset, timestamp or 0, due or 0)


def unpack(session: bytes) -> PendingForecast | None:
    """The forecast in the last PACKED_SIZE bytes of a session."""
    _, flags, forecast, naive, low, high, offset, timestamp, due = _CONTENT.unpack_from(
        session, len(session) - _CONTENT.size
    )
    if not flags:
        return None
    return PendingForecast(
        forecast,
        naive,
        low if flags & _LOW else None,
        high if flags & _HIGH else None,
        offset,
        timestamp if flags & _TIMESTAMP else None,
        due if flags & _DUE else None,
    )


def split_state(state: bytes, count: int) -> tuple[bytes, bytes]:
    """Splits a saved state into its `count` values and its pending forecast. Raises ValueError: the bytes are no state."""
    tail = state[-PACKED_SIZE:]
    # The model's own last value may contain the mark too; only the number of values decides. It is counted last, because
    # a restore splits every session of a partition.
    if tail.startswith(_HEAD + _MARK) and len(values.load(state)) == count + 1:
        return state[:-PACKED_SIZE], tail
    tail = state[-len(_UNDATED) :]
    if tail.startswith(_UNDATED_HEAD + _MARK) and len(values.load(state)) == count + 1:
        return state[: -len(_UNDATED)], _HEAD + tail[len(_UNDATED_HEAD) :] + bytes(_DUE_SIZE)
    return state, NO_FORECAST
