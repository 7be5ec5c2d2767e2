"""What goes between an engine and its jets."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.modelop.process.frames import Channel, Frame, pack, pack_outputs, unpack, unpack_outputs

RECORDS = st.lists(st.binary(max_size=20), max_size=8)


@given(RECORDS)
def test_records_come_back(records):
    assert unpack(pack(records)) == records


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=20)), max_size=8))
def test_outputs_come_back(outputs):
    assert unpack_outputs(pack_outputs(outputs)) == outputs


@given(st.lists(st.tuples(st.dictionaries(st.text(), st.integers() | st.text()), st.binary()), max_size=4))
def test_frames_come_back_in_order(frames):
    one, other = socket.socketpair()
    sender, receiver = Channel(one), Channel(other)
    for head, body in frames:
        sender.send(head, body)
    assert [receiver.receive(1) for _ in frames] == [Frame(head, body) for head, body in frames]
    sender.close()
    with pytest.raises(EOFError):
        receiver.receive(1)
    receiver.close()


def test_a_large_frame_and_one_that_does_not_come():
    one, other = socket.socketpair()
    sender, receiver = Channel(one), Channel(other)
    with pytest.raises(TimeoutError):
        receiver.receive(0.01)
    body = bytes(range(256)) * 40_000
    sending = threading.Thread(target=sender.send, args=({"a": 1}, body))
    sending.start()
    assert receiver.receive(1) == Frame({"a": 1}, body)
    sending.join()
    sender.close()
    receiver.close()
