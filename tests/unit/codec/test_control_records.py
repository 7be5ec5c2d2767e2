"""Control records in each encoding, as the documentation prints them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.control_records import CONTROL_FORMS
from stream_scorer.records import Control

PIG = Control("pig", 1234, 3476304987, "misc-data")
READ = {
    "json, bare": ("json", b'{"$fastscore": "end"}', Control("end")),
    "json, tight": ("json", b'{"$fastscore":"set"}', Control("set")),
    "json, any order": (
        "json",
        b' {"misc": "misc-data", "id":1234 , "$fastscore":"pig", "timestamp": 3476304987}',
        PIG,
    ),
    "utf-8, bare": ("utf-8", "\u262efastscore.set".encode(), Control("set")),
    "utf-8, all": ("utf-8", "\u262efastscore.pig|1234|3476304987|misc-data".encode(), PIG),
    "utf-8, misc with bars": ("utf-8", "\u262efastscore.pig|1|2|a|b".encode(), Control("pig", 1, 2, "a|b")),
    "null, bare: 12 bytes": (None, b"\xfastscore.end", Control("end")),
    "null, all": (None, b"\xfastscore.pig" + (1234).to_bytes(4) + (3476304987).to_bytes(8) + b"misc-data", PIG),
    "msgpack": ("msgpack", b"\x81\xaa$fastscore\xa3set", Control("set")),
    "avro, defaults": ("avro-binary", b"\x1c$fastscore.set\0\0\0", Control("set")),
}
DATA = {
    "json, a string": ("json", b'"$fastscore"'),
    "json, another kind": ("json", b'{"$fastscore": "stop"}'),
    "json, within": ("json", b'[{"$fastscore": "end"}]'),
    "json, broken": ("json", b'{"$fastscore": "end"'),
    "utf-8, without its sign": ("utf-8", b"fastscore.end"),
    "utf-8, another kind": ("utf-8", "\u262efastscore.stop".encode()),
    "utf-8, no number": ("utf-8", "\u262efastscore.pig|x".encode()),
    "null, cut short": (None, b"\xfastscore.en"),
    "null, half of the properties": (None, b"\xfastscore.pig" + bytes(11)),
    "msgpack, a string": ("msgpack", b"\xaa$fastscore"),
    "msgpack, broken": ("msgpack", b"\x81\xaa$fastscore"),
    "avro, only the string": ("avro-binary", b"\x1c$fastscore.set"),
    "avro, more behind": ("avro-binary", b"\x1c$fastscore.set\0\0\0\0"),
}


def test_the_raw_prefix_is_of_12_bytes_and_the_avro_form_begins_as_documented():
    assert CONTROL_FORMS[None].write(Control("end")) == b"\xfa" + b"stscore.end"
    assert len(CONTROL_FORMS[None].write(Control("end"))) == 12
    assert CONTROL_FORMS["avro-binary"].write(Control("set")) == bytes.fromhex("1c") + b"$fastscore.set" + bytes(3)


@pytest.mark.parametrize("case", READ)
def test_control_records_are_told_from_data(case):
    encoding, data, control = READ[case]
    assert CONTROL_FORMS[encoding].read(data) == control


@pytest.mark.parametrize("case", DATA)
def test_data_that_looks_like_it_stays_data(case):
    encoding, data = DATA[case]
    assert CONTROL_FORMS[encoding].read(data) is None


@pytest.mark.parametrize("encoding", CONTROL_FORMS)
@given(
    control=st.builds(
        Control,
        st.sampled_from(["end", "set", "pig"]),
        st.integers(0, 2**31 - 1),
        st.integers(0, 2**63 - 1),
        st.text(st.characters(max_codepoint=127, exclude_characters="|"), max_size=20),
    )
)
def test_what_is_written_is_read_again(encoding, control):
    form = CONTROL_FORMS[encoding]
    assert form.read(form.write(control)) == control


def test_a_set_is_written_bare():
    assert json.loads(CONTROL_FORMS["json"].write(Control("set"))) == {"$fastscore": "set"}
    assert CONTROL_FORMS["utf-8"].write(Control("set")) == "\u262efastscore.set".encode()


def test_a_pig_has_its_properties_even_where_all_are_zero():
    written = json.loads(CONTROL_FORMS["json"].write(Control("pig")))
    assert written == {"$fastscore": "pig", "id": 0, "timestamp": 0, "misc": ""}


@pytest.mark.parametrize("data", [b'{"$fastscore": "pig", "id": "x"}', b'{"$fastscore": "pig", "id": null}'])
def test_a_pig_with_odd_properties_is_still_one(data):
    assert CONTROL_FORMS["json"].read(data) == Control("pig")
