"""Topic, partition and headers of each output of the service, and of each reject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stream_scorer.kafka.config import stamp
from stream_scorer.kafka.rejects import Letter, dead_letter
from stream_scorer.kafka.retention import RetentionWatch
from stream_scorer.records import Headers, Outgoing, Partition, Reject

Addressed = tuple[str, bytes | None, bytes | None, int, int, Headers]
"""Topic, value, key, partition (-1: chosen by key), timestamp in ms (0: the time of sending), headers."""


class Routes:
    """Where outputs and rejects go, and with which headers.

    Args:
        topics: topic of each output slot.
        model: `name@sha256`, the value of the `scorer-model` header.
        keep_partition: write to the input's partition number; False: let the key choose.
        pass_headers: copy all headers of the input; `traceparent` is copied in any case.
        dead_letters: topic for rejects; None: they are only logged.
        watch: sees each batch and each reject that is sent.
    """

    def __init__(
        self,
        topics: Mapping[int, str],
        model: str,
        *,
        keep_partition: bool = True,
        pass_headers: bool = False,
        dead_letters: str | None = None,
        group: str = "",
        watch: RetentionWatch | None = None,
    ) -> None:
        self.watch = watch or RetentionWatch([], "")
        self.topics = dict(topics)
        self.dead_letters = dead_letters
        self._model = ("scorer-model", model.encode())
        self._keep_partition = keep_partition
        self._pass_headers = pass_headers
        self._group = group

    def address(self, outs: Iterable[Outgoing]) -> Iterator[Addressed]:
        """Each output as the producer takes it. One call for a batch, as this runs for every score."""
        topics, keep_partition, model = self.topics, self._keep_partition, self._model
        known: Partition | None = None  # of the output before: most have the same
        prefix = b""
        for slot, (partition, offset, key, _, timestamp, given), value in outs:
            if partition is not known:
                known, prefix = partition, b"%s/%d/" % (partition.topic.encode(), partition.number)
            headers: Headers = [("scorer-source", b"%s%d" % (prefix, offset)), model]
            if given:
                headers = [header for header in given if self._pass_headers or header[0] == "traceparent"] + headers
            yield (
                topics[slot],
                value,
                key,
                partition[1] if keep_partition else -1,
                timestamp or stamp(timestamp),
                headers,
            )

    def letter(self, reject: Reject, max_size: int) -> Letter:
        """A dead letter, with the input's headers, Kafka Streams' standard error headers, and ours. `max_size` in bytes."""
        source = reject.source
        texts = {
            "__streams.errors.exception": reject.error,
            "__streams.errors.message": reject.message,
            "__streams.errors.stacktrace": reject.stacktrace,
            "__streams.errors.topic": source.partition.topic,
            "__streams.errors.partition": str(source.partition.number),
            "__streams.errors.offset": str(source.offset),
            "__scorer.stage": reject.stage,
            "__scorer.model": self._model[1].decode(),
            "__scorer.group": self._group,
        }
        # JSON may carry half a surrogate pair, and a model may raise with it.
        reasons: Headers = [(key, value.encode(errors="backslashreplace")) for key, value in texts.items()]
        return dead_letter(reject, reasons, max_size)
