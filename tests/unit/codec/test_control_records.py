"""Control records in each encoding, as the documentation prints them."""

from __future__ import annotations

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.control_records import CONTROL_FORMS
from stream_scorer.records import Control

PIG = Control("pig", 1234, 3476304987, "misc-data")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=["L", "N", "P", "Cs"])),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
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
    again = form.read(form.write(control))
    # Zeros and no misc are what stands for what is not given, where an encoding has no other way to say it.
    assert [again.kind, again.id or 0, again.timestamp or 0, again.misc or ""] == [
        *(control.kind, control.id, control.timestamp, control.misc)
    ]


def test_a_set_is_written_bare_and_compact():
    assert CONTROL_FORMS["json"].write(Control("set")) == b'{"$fastscore":"set"}'
    assert CONTROL_FORMS["utf-8"].write(Control("set")) == "\u262efastscore.set".encode()


AS_THEY_CAME = {
    "json, bare": ("json", b'{"$fastscore":"pig"}'),
    "json, with blanks": ("json", b'{ "$fastscore" : "pig" }'),
    "json, one property": ("json", b'{"$fastscore":"pig","id":7}'),
    "json, zeros": ("json", b'{"id":0,"$fastscore":"pig","timestamp":0,"misc":""}'),
    "json, the client's own": ("json", b'{"mine":[1,{"a":null}],"$fastscore":"pig","id":"x"}'),
    "json, numbers of any length": ("json", b'{"$fastscore":"pig","id":' + b"9" * 40 + b"}"),
    "utf-8, bare": ("utf-8", "\u262efastscore.pig".encode()),
    "utf-8, one property": ("utf-8", "\u262efastscore.pig|007".encode()),
    "null, bare": (None, b"\xfastscore.pig"),
    "null, zeros": (None, b"\xfastscore.pig" + bytes(12)),
    "null, misc": (None, b"\xfastscore.pig" + bytes(12) + b"\xff"),
    "msgpack, bare": ("msgpack", b"\x81\xaa$fastscore\xa3pig"),
    "msgpack, long forms": ("msgpack", b"\xde\x00\x02\xaa$fastscore\xa3pig\xa2id\xcd\x00\x07"),
    "avro": ("avro-binary", b"\x1c$fastscore.pig\0\0\0"),
    "avro, properties": ("avro-binary", b"\x1c$fastscore.pig\x02\x04\x06abc"),
}


@pytest.mark.parametrize("case", AS_THEY_CAME)
def test_a_pig_goes_out_as_it_came_in(case):
    """Published clients compare the bytes with those that they have sent."""
    encoding, data = AS_THEY_CAME[case]
    form = CONTROL_FORMS[encoding]
    assert form.write(form.read(data)) == data


def test_of_json_the_white_space_around_it_and_its_lines_do_not_count():
    form = CONTROL_FORMS["json"]
    assert form.write(form.read(b' {"$fastscore":"pig"}\r\n')) == b'{"$fastscore":"pig"}'
    assert form.write(form.read(b'{\n  "mine": 1,\n  "$fastscore": "pig"\n}')) == b'{"mine":1,"$fastscore":"pig"}'


BARE = {
    "json": b'{"$fastscore":"pig"}',
    "utf-8": "\u262efastscore.pig".encode(),
    None: b"\xfastscore.pig",
    "msgpack": b"\x81\xaa$fastscore\xa3pig",
    "avro-binary": b"\x1c$fastscore.pig\0\0\0",
}


@pytest.mark.parametrize("to", BARE)
@pytest.mark.parametrize("of", BARE)
def test_without_properties_it_has_none_in_another_encoding(of, to):
    assert CONTROL_FORMS[to].write(CONTROL_FORMS[of].read(BARE[of])) == BARE[to]


OF_SOME = {
    "json": b'{"$fastscore":"pig","timestamp":5}',
    "utf-8": "\u262efastscore.pig|0|5".encode(),
    None: b"\xfastscore.pig" + bytes(4) + (5).to_bytes(8),
    "msgpack": b"\x82\xaa$fastscore\xa3pig\xa9timestamp\x05",
    "avro-binary": b"\x1c$fastscore.pig\0\x0a\0",
}


@pytest.mark.parametrize("to", OF_SOME)
@pytest.mark.parametrize("of", ["json", "msgpack", "avro-binary"])
def test_in_another_encoding_it_has_what_it_came_with(of, to):
    assert CONTROL_FORMS[to].write(CONTROL_FORMS[of].read(OF_SOME[of])) == OF_SOME[to]


def test_json_and_msgpack_keep_the_clients_own_members():
    pig = CONTROL_FORMS["json"].read(b'{"mine":[1,2.5],"$fastscore":"pig","id":3}')
    packed = CONTROL_FORMS["msgpack"].write(pig)
    assert msgpack.unpackb(packed) == {"mine": [1, 2.5], "$fastscore": "pig", "id": 3}
    assert CONTROL_FORMS["json"].write(CONTROL_FORMS["msgpack"].read(packed)) == pig.record
    odd = CONTROL_FORMS["msgpack"].read(msgpack.packb({"mine": b"\xff", "$fastscore": "pig", "id": 3}))
    assert CONTROL_FORMS["json"].write(odd) == b'{"$fastscore":"pig","id":3}'


@given(st.data(), st.sampled_from(list(CONTROL_FORMS)), st.sampled_from(list(CONTROL_FORMS)))
def test_any_pig_of_a_client_can_be_written_in_every_encoding(data, of, to):
    members = data.draw(st.dictionaries(st.sampled_from(["id", "timestamp", "misc", "own"]), json_values))
    pig = CONTROL_FORMS["json"].read(json.dumps({**members, "$fastscore": "pig"}).encode())
    through = CONTROL_FORMS[of].read(CONTROL_FORMS[of].write(pig))
    assert through is not None
    assert CONTROL_FORMS[to].read(CONTROL_FORMS[to].write(through)).kind == "pig"


@pytest.mark.parametrize("data", [b'{"$fastscore": "pig", "id": "x"}', b'{"$fastscore": "pig", "id": null}'])
def test_a_pig_with_odd_properties_is_still_one(data):
    assert CONTROL_FORMS["json"].read(data) == Control("pig")
