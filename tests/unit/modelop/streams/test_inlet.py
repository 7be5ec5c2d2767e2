"""Batches: batching, control records, loops, sequence numbers, ends."""

from __future__ import annotations

import io
import threading
import time

import fastavro
import pytest

from stream_scorer.errors import EndOfInput, NoSuchStream, TransportError
from stream_scorer.modelop.endpoints import local as stream_local
from stream_scorer.modelop.streams import envelopes, opening
from stream_scorer.modelop.streams.inlet import StreamInlet
from stream_scorer.records import Batch, Control

END = Control("end")
SET = b'{"$fastscore": "set"}'
PIG = b'{"$fastscore": "pig", "id": 7}'


@pytest.fixture
def inlet(stream):
    opened = []

    def inlet(data, Batching="normal", **more):  # noqa: N803 - as in descriptors
        transport = data if isinstance(data, str | dict) else {"Type": "inline", "Data": data}
        opened.append(opening.open_inlet(stream(transport, Encoding="json", Batching=Batching, **more)))
        return opened[-1]

    yield inlet
    for one in opened:
        one.close()


def batches(one, limit=20):
    """All up to the end."""
    found = []
    while len(found) < limit:
        batch = one.next(2)
        assert batch is not None
        found.append(batch)
        if batch.control == END:
            break
    return found


def shape(found):
    return [(b" ".join(batch.records).decode(), batch.closed_by) for batch in found]


@pytest.mark.parametrize(
    ("batching", "expected"),
    [
        ("normal", [("1 2 3 4 5", "end")]),
        ("explicit", [("1 2 3 4 5", "end")]),
        (None, [("1", None), ("2", None), ("3", None), ("4", None), ("5", None), ("", "end")]),
        ({"Watermark": 2, "NagleTime": None}, [("1 2", None), ("3 4", None), ("5", "end")]),
        ({"Watermark": None, "NagleTime": 0}, [("1 2 3 4 5", None), ("", "end")]),
    ],
)
def test_a_batch_closes_at_its_limits_and_at_the_end(inlet, batching, expected):
    assert shape(batches(inlet(list("12345"), batching))) == expected


def test_control_records_close_a_batch_and_are_no_data(inlet):
    data = ["1", "2", SET.decode(), SET.decode(), "3", PIG.decode(), "4", '{"$fastscore": "end"}', "5"]
    found = batches(inlet(data, "explicit"))
    assert shape(found) == [("1 2", "set"), ("", "set"), ("3", "pig"), ("4", "end")]
    assert found[2].control == Control("pig", 7)


def test_sequence_numbers_count_records_from_1(inlet):
    found = batches(inlet(["1", "2", SET.decode(), "3", PIG.decode(), "4"], {"Watermark": 1, "NagleTime": None}))
    assert [batch.first for batch in found if batch.records] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("batching", "expected"),
    [("normal", b"1"), ({"Watermark": 1000, "NagleTime": 60_000}, b"1"), ("explicit", None), (None, b"1")],
)
def test_an_eager_inlet_waits_for_no_time_limit(inlet, batching, expected):
    one = inlet("REST", batching)
    one.eager = True
    one.post(b"1")
    one.post(b"2")
    batch = one.next(0.2)
    assert (batch and batch.records[0]) == expected
    assert batch is None or batch.control is None


def test_an_eager_inlet_keeps_the_watermark_and_can_be_made_patient_again(inlet):
    one = inlet(list("12345"), {"Watermark": 2, "NagleTime": 60_000})
    one.eager = True
    assert shape(batches(one)) == [("1 2", None), ("3 4", None), ("5", None), ("", "end")]
    one = inlet("REST", {"Watermark": 2, "NagleTime": 60_000})
    one.eager = True
    one.post(b"1")
    assert one.next(1).records == [b"1"]
    one.eager = False
    one.post(b"2")
    assert one.next(0.05) is None
    one.eager = True
    assert one.next(1).records == [b"2"]


def test_after_the_end_there_is_nothing(inlet):
    one = inlet(["1"])
    assert batches(one)[-1].control == END
    assert one.next(5) is None


def test_an_end_marker_of_old_is_honoured_when_it_is_given(inlet):
    assert shape(batches(inlet(["1", "$end-of-stream", "2"], EndMarker="$end-of-stream"))) == [("1", "end")]


def test_a_loop_begins_again_at_a_hard_and_at_a_soft_end(inlet):
    for data in (["1", "2"], ["1", "2", '{"$fastscore": "end"}', "3"]):
        one = inlet(data, {"Watermark": 2, "NagleTime": None}, Loop=True)
        assert [one.next(1) for _ in range(3)] == [Batch(0, first, [b"1", b"2"], None) for first in (1, 3, 5)]


def test_the_end_of_a_round_closes_its_batch(inlet):
    one = inlet(["1", "2", "3"], {"Watermark": 2, "NagleTime": None}, Loop=True)
    assert [one.next(1).records for _ in range(4)] == [[b"1", b"2"], [b"3"], [b"1", b"2"], [b"3"]]


def test_a_loop_over_nothing_waits(inlet):
    one = inlet([], Loop=True)
    began = time.process_time()
    assert one.next(0.3) is None
    assert time.process_time() - began < 0.2


def test_a_place_to_begin(inlet):
    assert shape(batches(inlet(["1", "2", "3"], SkipToRecord=1))) == [("2 3", "end")]
    assert shape(batches(inlet({"Type": "inline", "Data": "12\n3"}, SkipTo=1))) == [("2 3", "end")]
    assert shape(batches(inlet(["1"], SkipToRecord="latest"))) == [("", "end")]


def test_a_batch_waits_for_the_nagle_time_after_its_first_record_and_no_longer(inlet):
    one = inlet("REST", {"Watermark": None, "NagleTime": 120})
    one.post(b"1")
    assert one.next(0.03) is None
    one.post(b"2")
    began = time.monotonic()
    assert one.next(5) == Batch(0, 1, [b"1", b"2"], None)
    assert 0.03 < time.monotonic() - began < 0.5


def test_what_is_there_is_delivered_at_once(inlet):
    one = inlet("REST", {"Watermark": None, "NagleTime": 0})
    for body in (b"1", b"2"):
        one.post(body)
    assert one.next(5) == Batch(0, 1, [b"1", b"2"], None)


def test_a_record_that_is_posted_is_heard_at_once(inlet):
    one = inlet("REST", None)
    found = []
    reader = threading.Thread(target=lambda: found.append((one.next(5), time.monotonic())))
    reader.start()
    time.sleep(0.15)
    posted = time.monotonic()
    one.post(b"1")
    reader.join(5)
    assert found[0][0].records == [b"1"]
    assert found[0][1] - posted < 0.05


def test_close_unblocks_who_waits(inlet):
    for data in ("REST", {"Type": "UDP", "BindTo": "127.0.0.1", "Port": 47913}):
        one = inlet(data)
        found = []
        reader = threading.Thread(target=lambda one=one, found=found: found.append(one.next(30)))
        reader.start()
        time.sleep(0.05)
        began = time.monotonic()
        one.close()
        reader.join(5)
        assert found == [None]
        assert time.monotonic() - began < 1


def test_only_rest_streams_are_posted_to(inlet):
    with pytest.raises(NoSuchStream):
        inlet(["1"]).post(b"2")


def test_what_is_posted_after_the_end_is_ignored(inlet):
    one = inlet("REST")
    one.post(b'{"$fastscore": "end"}')
    assert one.next(1).control == END
    one.post(b"1")
    assert one.next(0.05) is None


def test_delimited_over_simple_rest_splits_a_body(inlet):
    one = inlet("REST", {"Watermark": None, "NagleTime": 0}, Envelope="delimited")
    one.post(b"1\n2\n")
    assert one.next(1).records == [b"1", b"2"]
    one.post(b"3")
    assert one.next(1).records == [b"3"]


class Feed:
    """Gives a record at a time, and remembers what it is told is settled."""

    def __init__(self, count):
        self.left, self.settled, self.closed = count, [], False

    def read(self, timeout_s):
        if not self.left:
            raise EndOfInput
        self.left -= 1
        return [b"%d" % self.left]

    def settle(self, count):
        self.settled.append(count)

    def close(self):
        self.closed = True


def test_a_batch_is_settled_when_the_next_is_asked_for(stream):
    feed = Feed(5)
    one = StreamInlet(stream("REST", Encoding="json", Batching={"Watermark": 2, "NagleTime": None}), lambda: feed, None)
    for expected in ([], [2], [2, 2]):
        one.next(1)
        assert feed.settled == expected
    assert one.next(1) is None
    assert feed.settled == [2, 2, 1]


def test_the_header_of_csv_goes_with_each_record(stream):
    one = stream({"Type": "inline", "Data": "id,name\r\n1,Joe\r\n2,Ann\r\n"}, Encoding="csv")
    decode = one.spec.make().decode
    inlet = opening.open_inlet(one)
    assert [decode(record) for record in inlet.next(1).records] == [
        {"id": "1", "name": "Joe"},
        {"id": "2", "name": "Ann"},
    ]
    inlet.close()


def test_a_sample_and_a_rate(stream):
    one = stream({"Type": "inline", "Data": ["2", "3", "5", "7", "11"]}, Encoding="json")
    assert opening.sample(one, 3) == [b"2", b"3", b"5"]
    assert opening.sample(one, 10) == [b"2", b"3", b"5", b"7", b"11"]
    found = opening.rate(one)
    assert found["rps"] > 0
    assert found["mbps"] > 0


def test_what_came_before_a_failure_is_handed_on_before_it(stream, tmp_path):
    schema = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}
    out = io.BytesIO()
    fastavro.writer(out, schema, [{"n": number} for number in range(5)], sync_interval=1)
    (tmp_path / "x.avro").write_bytes(out.getvalue()[:-3] + b"...")  # the last block is broken
    found = opening.open_inlet(
        stream(
            {"Type": "file", "Path": str(tmp_path / "x.avro")},
            Encoding="avro-binary",
            Envelope="ocf-block",
            Schema=schema,
        )
    )
    assert found.next(2).records == [b"\0", b"\x02", b"\x04", b"\x06"]
    for _ in range(2):
        with pytest.raises(TransportError, match="ocf-block"):
            found.next(2)
    found.close()


def test_a_record_that_is_too_long_has_no_number_and_is_told_of(inlet, monkeypatch, tmp_path):
    monkeypatch.setattr(envelopes, "MAX_LINE", 100)
    monkeypatch.setattr(stream_local, "CHUNK", 50)
    (tmp_path / "x.jsonl").write_bytes(b"1\n" + b"9" * 500 + b"\n2\n")
    one, told = inlet({"Type": "file", "Path": str(tmp_path / "x.jsonl")}), []
    one.on_reject = lambda record, why: told.append((record[:3], why))
    (batch,) = batches(one)
    assert (batch.records, batch.first) == ([b"1", b"2"], 1)
    ((record, why),) = told
    assert record == b"999"
    assert "its end has not come within" in why
