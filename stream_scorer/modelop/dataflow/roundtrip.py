"""Roundtrips: one record to a REST stream and its output from another, as one call (rule `h.roundtrip`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stream_scorer.errors import EndOfInput, StateError, Unavailable
from stream_scorer.modelop.dataflow.lifecycle import PIGGING, RUNNING
from stream_scorer.modelop.dataflow.slot_streams import Input, Output

_STATE_CHECK_S = 0.25
"""How often a waiting call checks whether the engine still runs."""


class RoundTrips:
    """Calls on one pair of slots wait for each other, so that each gets its own output. Safe from any thread."""

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._pairs: dict[tuple[int, int], _Pair] = {}

    def call(self, source: Input, sink: Output, body: bytes, timeout_s: float) -> bytes:
        """Return the output of a record. Blocks for `timeout_s` at most.

        Raises StateError (not running), NoSuchStream (not a REST stream) and Unavailable (no output in time).
        """
        deadline = time.monotonic() + timeout_s
        with self._guard:
            pair = self._pairs.setdefault((source.slot, sink.slot), _Pair())
        if not pair.lock.acquire(timeout=timeout_s):
            raise Unavailable(
                f"slots {source.slot} and {sink.slot}: calls before this one took {timeout_s:g} s. Try again."
            )
        try:
            self._expect_running()
            if pair.owed is sink:
                self._drop_late(sink)
            pair.owed = None
            source.post(body)
            answer = self._wait(sink, deadline)
            if answer is None:
                pair.owed = sink
                raise Unavailable(
                    f"slot {sink.slot}: no output within {timeout_s:g} s of the input at slot {source.slot}. The record "
                    "was rejected, or the model gives none for it, or takes longer: give a larger timeout."
                )
        except EndOfInput:
            raise StateError(f"slot {sink.slot}: the output is at its end.") from None
        else:
            return answer
        finally:
            pair.lock.release()

    def _wait(self, sink: Output, deadline: float) -> bytes | None:
        while True:
            left = deadline - time.monotonic()
            answer = sink.take(max(0.0, min(left, _STATE_CHECK_S)))
            if answer is not None or left <= 0:
                return answer
            self._expect_running()

    def _expect_running(self) -> None:
        state = self._state()
        if state not in (RUNNING, PIGGING):
            raise StateError(f"the engine is in state {state}: a record passes through only while it is running.")

    def _drop_late(self, sink: Output) -> None:
        """Drop the output of a call that has given up: the next call must not get it."""
        while sink.take(0) is not None:
            pass


class _Pair:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owed: Output | None = None  # may still deliver the output of a call that has given up
