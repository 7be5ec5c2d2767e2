"""What every transport of a ModelOp stream does, whichever way the bytes go."""

from __future__ import annotations

import threading
import time

import pytest

from stream_scorer.errors import DescriptorError, TransportError
from stream_scorer.modelop.streams.descriptor import parse
from stream_scorer.modelop.streams.opening import open_inlet, open_outlet, sample
from stream_scorer.records import Batch, Control
from tests.contract.stream_transports import TRANSPORTS, KafkaTopic, closing

KAFKA = [pytest.param(name, marks=pytest.mark.broker) for name in ("Kafka", "Kafka, a group")]
END = b'{"$fastscore": "end"}'
SET = b'{"$fastscore": "set"}'


INPUT_ONLY = ("inline, an array", "inline, text", "HTTP, chunked", "UDP")
LIVE = ["REST", "REST, chunked", "UDP"]


def _end(request, tmp_path, monkeypatch):
    if request.param in TRANSPORTS:
        found = TRANSPORTS[request.param](tmp_path)
    else:
        kafka, name = (request.getfixturevalue(fixture) for fixture in ("kafka", "name"))
        found = KafkaTopic(kafka, name, group="group" in request.param)
    for key, value in found.environment.items():
        monkeypatch.setenv(key, value)
    yield found
    found.close()


def _marked(names, without=()):
    """The names, that of programs with the mark of tests that start processes."""
    marks = {"exec": pytest.mark.process}
    return [pytest.param(name, marks=marks.get(name, ())) for name in names if name not in without]


source = pytest.fixture(params=[*_marked(TRANSPORTS), *KAFKA], name="source")(_end)
live = pytest.fixture(params=[*LIVE, *KAFKA], name="live")(_end)
stored = pytest.fixture(params=[*_marked(TRANSPORTS, LIVE), *KAFKA], name="stored")(_end)
target = pytest.fixture(params=[*_marked(TRANSPORTS, INPUT_ONLY), *KAFKA[:1]], name="target")(_end)


def stream(transport, slot=0, **more):
    raw = {"Transport": transport, "Encoding": "json", **more}
    if "kafka" in str(transport).lower() and not slot:
        raw.setdefault("SkipToRecord", "earliest")
    return parse(raw, slot=slot, name="s", find_schema={}.__getitem__)


def until(inlet, ended, seconds=30):
    """Batches until `ended` says so of all of them."""
    found: list[Batch] = []
    deadline = time.monotonic() + seconds
    while not ended(found):
        assert time.monotonic() < deadline, f"only {found!r:.300} came"
        batch = inlet.next(0.5)
        if batch is not None:
            found.append(batch)
    return found


def has_end(found):
    return any(batch.closed_by == "end" for batch in found)


def records_of(found):
    return [record for batch in found for record in batch.records]


def read(source, records, **more):
    """All of the stream, up to its own end or to the end record that a live one needs."""
    fed = [*records, END] if source.features.live else records
    inlet = open_inlet(stream(source.source(fed), **more))
    with closing(inlet):
        source.feed(inlet, fed)
        found = until(inlet, has_end)
        assert inlet.next(0.05) is None
        return found


def test_records_come_in_order_and_then_the_end(source):
    records = [b"%d" % number for number in range(50)]
    found = read(source, records)
    assert records_of(found) == records
    assert found[-1].control == Control("end")
    assert [batch.first for batch in found] == [1 + len(records_of(found[:at])) for at in range(len(found))]


def test_a_stream_without_a_record_ends(source):
    found = read(source, [])
    assert [batch.records for batch in found] == [[]]


def test_a_control_record_closes_a_batch(source):
    found = read(source, [b"1", b"2", SET, b"3"], Batching="explicit")
    assert [(batch.records, batch.closed_by) for batch in found] == [([b"1", b"2"], "set"), ([b"3"], "end")]


def test_a_long_record_comes_whole(source):
    record = b'"' + b"x" * (source.features.most - 100) + b'"'
    assert records_of(read(source, [b"1", record, b"2"])) == [b"1", record, b"2"]


def test_where_boundaries_are_kept_a_record_may_be_of_several_lines(source):
    expected = [b"[1,\n2]"] if source.features.boundaries else [b"[1,", b"2]"]
    assert records_of(read(source, [b"[1,\n2]"])) == expected


def test_a_looping_stream_begins_again_and_another_cannot_loop(source):
    transport = source.source([b"1", b"2", END])
    if not source.features.loop:
        with pytest.raises(DescriptorError, match="Loop"):
            stream(transport, Loop=True)
        return
    inlet = open_inlet(stream(transport, Loop=True, Batching={"Watermark": 2, "NagleTime": None}))
    with closing(inlet):
        if getattr(source, "_group", None):
            return  # the group has committed: it goes on from there
        assert records_of(until(inlet, lambda found: len(records_of(found)) >= 6)) == [b"1", b"2"] * 3


def test_next_keeps_to_its_time_and_close_is_heard_by_who_waits(live):
    inlet = open_inlet(stream(live.source([])))
    began = time.monotonic()
    assert inlet.next(0.05) is None
    assert time.monotonic() - began < 1
    found = []
    reader = threading.Thread(target=lambda: found.append(inlet.next(30)))
    reader.start()
    time.sleep(0.05)
    inlet.close()
    reader.join(10)
    assert found == [None]


def test_a_sample_is_the_first_records(stored):
    assert sample(stream(stored.source([b"1", b"2", b"3"])), 2) == [b"1", b"2"]


def write(target, batches, **more):
    outlet = open_outlet(stream(target.target(), 1, **more))
    with closing(outlet):
        for batch in batches:
            outlet.write(batch)
        outlet.finish()
        outlet.finish()
        return target.written(outlet)


def test_what_is_written_is_there_in_order(target):
    batches = [[b"1", b"2"], [], [b"3"]]
    assert write(target, batches) == b"1\n2\n3\n"


def test_an_output_without_a_record_is_empty(target):
    assert write(target, []) == b""


def test_much_is_written(target):
    batches = [[b"%d" % number for number in range(at, at + 500)] for at in range(0, 20_000, 500)]
    assert write(target, batches) == b"".join(b"%d\n" % number for number in range(20_000))


def test_an_end_marker_is_written_last(target):
    assert write(target, [[b"1"]], EndMarker="$end-of-stream") == b"1\n$end-of-stream\n"


def test_a_closed_output_takes_nothing_more(target):
    outlet = open_outlet(stream(target.target(), 1))
    outlet.write([b"1"])
    outlet.close()
    with pytest.raises(TransportError):
        outlet.write([b"2"])
    outlet.close()


GONE = {
    "file": {"Type": "file", "Path": "/no/such/folder/file"},
    "TCP": {"Type": "TCP", "Host": "127.0.0.1", "Port": 1},
    "HTTP": {"Type": "HTTP", "Url": "http://127.0.0.1:1/"},
    "exec": {"Type": "exec", "Run": "/no/such/program"},
}


@pytest.mark.parametrize("name", _marked(GONE))
@pytest.mark.parametrize("slot", [0, 1])
def test_an_end_that_is_not_there_is_told_in_one_line(name, slot):
    with pytest.raises(TransportError) as caught:  # noqa: PT012 - what is written to may be found out at the first write
        if slot:
            outlet = open_outlet(stream(GONE[name], 1))
            outlet.write([b"1"])
        else:
            open_inlet(stream(GONE[name]))
    assert "\n" not in str(caught.value)
