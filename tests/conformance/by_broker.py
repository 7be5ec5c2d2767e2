"""Runs cases through `stream-scorer run` on a real broker: each by two services, one after the other.

The first transaction with outputs of the first service is aborted. The services run in processes that have imported
what they need and run many of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

from stream_scorer.errors import CommitAborted, StreamScorerError
from stream_scorer.ports import Sink
from stream_scorer.records import Outgoing, Partition
from stream_scorer.service import app
from stream_scorer.service import wiring as kafka_service
from tests.conformance.by_run import Found, Job
from tests.support import wired

_DEAD = ".dead-letters"


def topics_of(name: str, job: Job) -> list[str]:
    """Input, where rejects go, and outputs in the order of their slots."""
    return [f"{name}-in", f"{name}-in{_DEAD}", *(f"{name}-out-{slot}" for slot in job.slots)]


def serve(job: Job, name: str, servers: str, *, abort: bool) -> str:
    """Until the end of the input, in a process of the pool. "", or what ended the service."""
    os.chdir(job.folder)
    sys.modules.pop("model", None)
    source, _, *outputs = topics_of(name, job)
    chosen = wired.settings(
        job.input_encoding,
        job.output_encoding,
        job.slots,
        bootstrap_servers=servers,
        input_topic=source,
        output_topic=",".join(f"{slot}={topic}" for slot, topic in zip(job.slots, outputs, strict=True)),
        group=name,
        schema={one: str(job.folder / f"{one}.schema") for one in job.schemas},
        attachment=job.folder / job.attachment if job.attachment else None,
        create_topics=True,
        until_end=True,
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _aborting(abort):
        try:
            app.serve(job.model, chosen)
        except StreamScorerError as error:
            return str(error)
    return ""


@contextlib.contextmanager
def _aborting(abort: bool):  # type: ignore[no-untyped-def]
    """The first transaction that has outputs is aborted, with them in it."""
    sink = kafka_service.TransactionalSink
    send, commit = sink.send, sink.commit
    left = [abort, False]

    def sending(self: Sink, outs: Sequence[Outgoing]) -> None:
        left[1] = left[1] or bool(outs)
        send(self, outs)

    def committing(self: Sink, positions: dict[Partition, int]) -> None:
        if all(left):
            left[0] = False
            raise CommitAborted("as asked")
        commit(self, positions)

    sink.send, sink.commit = sending, committing  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        sink.send, sink.commit = send, commit  # type: ignore[method-assign]
        assert not all(left), "nothing was aborted"


def read(servers: str, jobs: dict[str, Job]) -> dict[str, Found]:
    """What a committed reader finds for each of these names, all of it read by one consumer."""
    places = {
        topic: (name, slot)
        for name, job in jobs.items()
        for topic, slot in zip(topics_of(name, job), [None, -1, *job.slots], strict=True)
        if slot is not None
    }
    found: dict[str, Found] = {name: Found() for name in jobs}
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    try:
        there = consumer.list_topics(timeout=30).topics
        wanted = [TopicPartition(topic, 0, 0) for topic in places if topic in there]
        consumer.assign(wanted)
        ended: set[str] = set()
        while len(ended) < len(wanted):
            for message in consumer.consume(1000, 0.1):
                name, slot = places[message.topic()]
                if message.error():
                    ended.add(message.topic())
                elif slot == -1:
                    offset, stage = _dead(message.headers())
                    found[name].rejects.append((offset, stage, ""))
                else:
                    offset = int(dict(message.headers())["scorer-source"].rpartition(b"/")[2])
                    found[name].outputs.append((slot, offset, message.value()))
    finally:
        consumer.close()
    return found


def _dead(headers: list[tuple[str, bytes]]) -> tuple[int, str]:
    told = dict(headers)
    return int(told["__streams.errors.offset"]), told["__scorer.stage"].decode()
