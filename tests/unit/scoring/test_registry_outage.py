"""The loop while a schema registry does not answer: it waits, and no record pays for it."""

from __future__ import annotations

import itertools
import struct

import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.registry import open_registry
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import BrokerError, Unanswered
from stream_scorer.model.module import Module
from stream_scorer.records import Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.service.loop import Loop
from stream_scorer.service.memory import MemoryLog, MemorySink, MemorySource
from stream_scorer.service.pace import Pace
from stream_scorer.service.policies import FailurePolicy
from stream_scorer.state.sessions import Sessions
from support.service import MODELS
from tests.support.registry import Reply, Schemas, registry

TRIES = 50
"""More than the failures in a row that end a worker."""


class Flaky(Schemas):
    """Does not answer the first tries of each question."""

    def __init__(self, tls=None):
        super().__init__(tls)
        self.left = {}

    def reply(self, path, right):
        left = self.left.get(path, TRIES)
        self.left[path] = left - 1
        return Reply(503, b"<html>no backend</html>") if left > 0 else right


def _run(url, numbers, stop_after=None, source=MemorySource):
    module = Module(MODELS / "echo_positive.py")
    module.begin()
    sessions = Sessions(module, module.state_names)
    asked = open_registry(url, {})
    schema = load_schema("double", {}, MODELS)
    codec = codec_for("avro-binary", schema, framing="registry", registry=asked, subject="out-value")
    log = MemoryLog()
    records = [
        Record(Partition("in", 0), at, b"k", struct.pack(">bI", 0, number) + struct.pack("<f", at), 1000, None)
        for at, number in enumerate(numbers)
    ]
    tries = itertools.count(1)

    def check():
        log.phases.add(loop.phase)
        if next(tries) == stop_after:
            loop.stop()
        asked.check()

    loop = Loop(
        source(log, records),
        Scorer(module, sessions, codec, {1: codec}),
        sessions,
        MemorySink(log),
        pace=Pace(3, max_batch_s=60),
        policy=FailurePolicy(first_pause_s=0),
        answers=check,
    )
    log.totals, log.phases = loop.totals, set()
    try:
        loop.run()
    finally:
        assert loop.waits_for == ""
    return log


def test_it_waits_for_as_long_as_the_registry_is_away():
    """For the schema of the input, and for that of the output to be registered."""
    with registry(Flaky) as server:
        log = _run(server.url, [7] * 10)
    assert [out.source.offset for out in log.outputs] == list(range(10))
    assert log.rejects == []
    assert (log.totals.aborts, log.totals.recoveries) == (2, 0)  # no producer anew, no state read anew
    assert log.phases == {"waiting"}
    assert [path for _, path, _ in server.asked] == ["/schemas/ids/7"] * (TRIES + 1) + [
        "/subjects/out-value/versions"
    ] * (TRIES + 1)


def test_a_schema_that_is_not_there_costs_the_records_of_it():
    with registry() as server:
        log = _run(server.url, [7, 55, 7, 55, 7])
    assert [out.source.offset for out in log.outputs] == [0, 2, 4]
    assert [reject.source.offset for reject in log.rejects] == [1, 3]
    assert [path for _, path, _ in server.asked].count("/schemas/ids/55") == 1


@pytest.mark.parametrize("said", [Reply(404, b"<html>"), Reply(401), Reply(200, b"<html>log in</html>")], ids=str)
def test_an_answer_of_somebody_else_ends_the_worker_and_no_record(said):
    with registry() as server:
        server.refuse["/schemas/ids/7"] = said
        with pytest.raises(BrokerError, match=f"schema registry {server.url}"):
            _run(server.url, [7] * 3)


def test_a_stop_request_ends_the_wait():
    with registry() as server:
        server.refuse_all = Reply(503)
        log = _run(server.url, [7] * 3, stop_after=5)
    assert (log.outputs, log.rejects, log.positions) == ([], [], {})


class Restoring(MemorySource):
    """Needs a schema itself, as a source does that feeds inputs to sessions: the first try gets none."""

    left = 1

    def poll(self, limit, timeout_s):
        if self.left:
            self.left -= 1
            raise Unanswered("schema registry: no answer")
        return super().poll(limit, timeout_s)


def test_a_restore_that_needs_a_schema_is_tried_again():
    with registry() as server:
        log = _run(server.url, [7] * 3, source=Restoring)
    assert len(log.outputs) == 3
    assert (log.totals.aborts, log.totals.recoveries) == (0, 0)
