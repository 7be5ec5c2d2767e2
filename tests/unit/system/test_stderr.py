"""What native libraries write to descriptor 2 as they load."""

from __future__ import annotations

import os

import pytest

from stream_scorer.system.stderr import without_banners

BANNERS = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1700000000.000000     123 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1700000000.000000     123 cuda_executor.cc:1228] INTERNAL: no device\n"
)


def test_banners_are_kept_back_and_the_rest_let_through_in_order(capfd):
    with without_banners():
        os.write(2, b"one\n" + BANNERS + b"two\nno newline")
    assert capfd.readouterr().err == "one\ntwo\nno newline"


def test_an_error_inside_is_not_lost_nor_what_was_written_before_it(capfd):
    def load():
        os.write(2, b"before\n")
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), without_banners():
        load()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
