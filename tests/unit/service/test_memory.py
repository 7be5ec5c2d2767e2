"""The log in memory is as strict as a broker about transactions."""

from __future__ import annotations

import pytest

from stream_scorer.errors import CommitAborted
from stream_scorer.records import Outgoing, Partition, Record, Snapshot
from stream_scorer.service.memory import ABORT, MemoryLog, MemorySink, MemorySource

IN = Partition("in", 0)


def _record(offset):
    return Record(IN, offset, b"k", b"v", None, None)


def test_a_fault_aborts_the_commit_of_what_came_before_it_once():
    log = MemoryLog()
    source, sink = MemorySource(log, [_record(0), ABORT, _record(1)]), MemorySink(log)
    for attempt in range(2):
        sink.begin()
        (first, second) = source.poll(10, 0)
        sink.send([Outgoing(1, first, b"x")])
        sink.save(Snapshot(IN, b"k", 1, None, b""))
        if attempt == 0:
            with pytest.raises(CommitAborted, match="abort"):
                sink.commit(source.positions())
            sink.abort()
            assert (log.outputs, log.state, log.positions) == ([], {}, {})
            source.rewind()
    sink.commit(source.positions())
    assert [out.source.offset for out in log.outputs] == [0]
    assert log.positions == {IN: second.offset + 1}


def test_transactions_do_not_nest():
    sink = MemorySink(MemoryLog())
    with pytest.raises(AssertionError, match="without begin"):
        sink.commit({})
    sink.begin()
    with pytest.raises(AssertionError, match="inside a transaction"):
        sink.begin()
