"""An input stream: reads pieces from a transport, splits them into records, gathers records into batches.

Control records are described by the rules `d`, batching by rule `g.batching`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stream_scorer.codec.csv_codec import with_header
from stream_scorer.errors import EndOfInput, NoSuchStream, TransportError
from stream_scorer.modelop.endpoints.base import Feed
from stream_scorer.modelop.endpoints.rest import RestFeed
from stream_scorer.modelop.streams.envelopes import Splitter, TooLong
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.records import Batch, Control

log = logging.getLogger(__name__)

SLICE_S = 0.1  # longest wait inside a feed: a thread that waits there notices `close` after this time
END_OF_STREAM = Control("end")


class StreamInlet:
    """The `Inlet` port.

    Args:
        open_feed: opens the transport; called again when a looping stream begins anew.
        open_splitter: begins an envelope; None if the transport keeps the boundaries of records.
    """

    eager = False

    def __init__(
        self, stream: Stream, open_feed: Callable[[], Feed], open_splitter: Callable[[], Splitter] | None
    ) -> None:
        self._slot = stream.slot
        self._watermark = stream.batching.watermark
        self._nagle_s = None if stream.batching.nagle_ms is None else stream.batching.nagle_ms / 1000
        self._loop = stream.loop
        self._end_marker = None if stream.end_marker is None else stream.end_marker.encode()
        self._control_of = stream.spec.make().control
        self._whole_pieces = stream.transport.keeps_boundaries
        self._carries_header = stream.encoding == "csv" and stream.schema is None
        self._open_feed, self._open_splitter = open_feed, open_splitter
        self._using = threading.Lock()
        self._closed = False
        self._feed = open_feed()
        self._splitter = open_splitter() if open_splitter else None
        self._ready: list[bytes] = []  # records that were read, those before _at already gathered
        self._at = 0
        self._open_batch: list[bytes] = []
        self._opened_at = 0.0
        self._next_number = 1
        self._feed_at_end = False  # nothing more comes from the feed
        self._finished = False  # the last batch has been returned
        self._failure: TransportError | None = None
        self.on_reject: Callable[[bytes, str], None] = self._log_reject
        self._round_records = 0  # of this pass through a looping stream
        self._unsettled = self._handed = 0

    def next(self, timeout_s: float) -> Batch | None:
        """As in the port. Each call, also one after the last batch, settles the batch before it.

        Records that came before a failure are returned before it is raised.
        """
        deadline = time.monotonic() + timeout_s
        with self._using:
            self._settle()
            while not (self._closed or self._finished):
                now = time.monotonic()
                batch = self._next_batch(now)
                if batch is not None or now >= deadline:
                    return batch
                self._fill(min(deadline - now, SLICE_S, self._nagle_left_s(now)))
        return None

    def post(self, body: bytes) -> None:
        if not isinstance(self._feed, RestFeed):
            raise NoSuchStream(f"the stream at slot {self._slot} is not a REST stream")
        if not self._finished:
            self._feed.post(body)

    def close(self) -> None:
        self._closed = True
        if isinstance(self._feed, RestFeed):
            self._feed.close()
        with self._using:
            self._feed.close()

    def _settle(self) -> None:
        if self._handed and not self._splitter:
            self._feed.settle(self._handed)
        self._handed = 0

    def _nagle_left_s(self, now: float) -> float:
        limit_s = self._limit_s
        if not self._open_batch or limit_s is None:
            return SLICE_S
        return max(self._opened_at + limit_s - now, 0)

    @property
    def _limit_s(self) -> float | None:
        return 0.0 if self.eager and self._nagle_s is not None else self._nagle_s

    def _fill(self, timeout_s: float) -> None:
        self._ready, self._at = [], 0
        try:
            if self._splitter is None:
                self._ready = self._feed.read(timeout_s)
            else:
                for piece in self._feed.read(timeout_s):
                    self._ready += self._split(self._splitter, piece)
        except EndOfInput:
            self._feed_at_end = True
            self._flush(self._splitter)
        except TransportError as error:
            self._failure = error

    def _flush(self, splitter: Splitter | None) -> None:
        try:
            self._ready = splitter.flush() if splitter else []
        except TransportError as error:
            self._failure = error

    def _split(self, splitter: Splitter, piece: bytes) -> list[bytes]:
        """An envelope is tolerated where each piece is a record: it splits the piece, whose last byte ends a record too."""
        records = splitter.feed(piece)
        return records + splitter.flush() if self._whole_pieces else records

    def _next_batch(self, now: float) -> Batch | None:
        """Return the next batch of the records that were read, None if it is still open.

        All records that were read are gathered before the time limit is looked at.
        """
        while self._at < len(self._ready):
            record = self._ready[self._at]
            self._at += 1
            self._unsettled += 1
            control = END_OF_STREAM if record == self._end_marker else self._control_of(record)
            if type(record) is TooLong:
                self.on_reject(record, record.why)
            elif control is None:
                self._gather(record, now)
                if len(self._open_batch) == self._watermark:
                    return self._close_batch(None)
            elif control.kind != "end":
                return self._close_batch(control)
            else:
                self._feed_at_end = True
                self._ready, self._at = [], 0
        if self._failure is not None:
            if self._open_batch:
                return self._close_batch(None)
            raise self._failure
        if self._feed_at_end:
            return self._finish_round()
        if self._open_batch and (limit_s := self._limit_s) is not None and now >= self._opened_at + limit_s:
            return self._close_batch(None)
        return None

    def _log_reject(self, record: bytes, why: str) -> None:
        log.warning("slot %d: a record is rejected: %s It begins %r", self._slot, why, record[:60])

    def _gather(self, record: bytes, now: float) -> None:
        if not self._open_batch:
            self._opened_at = now
        if self._carries_header and self._splitter is not None:
            record = with_header(self._splitter.header, record)
        self._open_batch.append(record)
        self._round_records += 1

    def _close_batch(self, control: Control | None) -> Batch:
        records, self._open_batch = self._open_batch, []
        first, self._next_number = self._next_number, self._next_number + len(records)
        self._handed, self._unsettled = self._handed + self._unsettled, 0
        return Batch(self._slot, first, records, control)

    def _finish_round(self) -> Batch | None:
        if not self._loop:
            self._finished = True
            return self._close_batch(END_OF_STREAM)
        batch = self._close_batch(None) if self._open_batch else None
        if not self._round_records:
            time.sleep(SLICE_S)  # the stream is empty: without a pause the loop would spin
        self._feed.close()
        self._feed = self._open_feed()
        self._splitter = self._open_splitter() if self._open_splitter else None
        self._feed_at_end, self._round_records = False, 0
        return batch
