"""An output stream: records framed, and written to a transport."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stream_scorer.errors import NoSuchStream
from stream_scorer.modelop.endpoints.base import Drain
from stream_scorer.modelop.endpoints.rest import RestDrain
from stream_scorer.modelop.streams.envelopes import Framer
from stream_scorer.modelop.streams.stream import Stream


class StreamOutlet:
    """The `Outlet` port. `framer` is None if the transport keeps the boundaries of records."""

    def __init__(self, stream: Stream, drain: Drain, framer: Framer | None) -> None:
        self._slot = stream.slot
        self._drain, self._framer = drain, framer
        self._linger_s = (stream.linger_ms or 0) / 1000
        self._end_marker = None if stream.end_marker is None else stream.end_marker.encode()
        self._using = threading.Lock()
        self._finished = False

    def write(self, records: Sequence[bytes]) -> None:
        if not records:
            return
        with self._using:  # the order of the bytes is that of the framing
            self._drain.write([self._framer.frame(records)] if self._framer else records)

    def take(self, timeout_s: float) -> bytes | None:
        if not isinstance(self._drain, RestDrain):
            raise NoSuchStream(f"the stream at slot {self._slot} is not a REST stream")
        return self._drain.take(timeout_s)

    def finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if self._end_marker is not None:
            self.write([self._end_marker])
        elif self._framer is not None:
            head = self._framer.frame([])
            if head:
                self._drain.write([head])
        self._drain.finish(self._linger_s)

    def close(self) -> None:
        self._drain.close()
