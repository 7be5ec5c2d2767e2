"""A thread beside the loop: logs where a step hangs, before the group expels the worker."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback

from stream_scorer.service.loop import Loop

log = logging.getLogger(__name__)

CHECK_S = 0.5


class Watchdog:
    """A daemon thread beside the loop of the thread that makes it. It ends when the loop stops.

    Args:
        limit_s: how long a step may take before it is logged, with the line of code that it is at.
        expelled_s: after this time in one step the group gives the partitions to other workers (max.poll.interval.ms).
    """

    def __init__(self, loop: Loop, *, limit_s: float, expelled_s: float) -> None:
        self._loop = loop
        self._limit_s, self._expelled_s = limit_s, expelled_s
        self._thread_id = threading.get_ident()
        self._reported_at = 0.0
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while not self._loop.stopping:
            time.sleep(CHECK_S)
            beat = self._loop.beat
            stuck_s = time.monotonic() - beat
            if stuck_s > self._limit_s and beat != self._reported_at:
                self._reported_at = beat
                self._report(stuck_s)

    def _report(self, stuck_s: float) -> None:
        frame = sys._current_frames().get(self._thread_id)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame else "?"
        log.error(
            "the step in hand has taken %.0f s. At %.0f s the group gives the partitions to another worker, which will "
            "meet the same record. If the model needs that long, raise --kafka max.poll.interval.ms or lower --batch. "
            "It is at:\n%s",
            stuck_s,
            self._expelled_s,
            where,
        )
