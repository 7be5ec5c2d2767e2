"""The schema registry's five bytes, with and without a registry to ask."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import BrokerError, DecodeError, EncodeError, Unavailable

DOUBLE = make_schema("double", "double")
ONE = "000000000000f03f"


class Schemas(ThreadingHTTPServer):
    """A schema registry: `texts` by id, answers of `refuse` by path, `asked` in order."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.texts = {7: '"float"', 8: '"string"'}
        self.asked = []
        self.refuse = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        number = int(self.path.rpartition("/")[2])
        if number in self.server.texts:
            self._answer(200, {"schema": self.server.texts[number]})
        else:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.texts[99] = body["schema"]
        self._answer(200, {"id": 99})

    def _answer(self, code, body):
        self.server.asked.append((self.command, self.path, self.headers["Authorization"]))
        code, body = self.server.refuse.get(self.path, (code, body))
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def schemas():
    with Schemas() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _framed(schema=DOUBLE, **how):
    return codec_for("avro-binary", schema, framing="registry", subject="scores-value", **how)


def test_the_frame_is_a_zero_byte_and_the_id_big_endian():
    codec = _framed(schema_id=258)
    assert codec.encode(1.0).hex() == "00" + "00000102" + ONE
    assert codec.decode(bytes.fromhex("0000000102" + ONE)) == 1.0
    assert codec.decode_many([bytes.fromhex("00ffffffff" + ONE)] * 2) == [1.0, 1.0]


@pytest.mark.parametrize("data", [bytes.fromhex("9a9999999999b9bf"), b"\1\0\0\0\7" + b"x" * 8, b"\0\0", b""])
def test_bytes_without_the_frame_are_refused(data):
    with pytest.raises(DecodeError, match=r"a zero byte and a 4-byte schema id.*leave --framing at none"):
        _framed(schema_id=1).decode(data)


def test_null_is_no_frame():
    with pytest.raises(DecodeError, match="tombstone"):
        _framed(schema_id=1).decode(None)


def test_without_id_or_registry_outputs_have_no_frame():
    with pytest.raises(EncodeError, match="give --output-schema-id or --schema-registry"):
        _framed().encode(1.0)


def test_a_writers_schema_is_read_as_the_models_own_and_asked_for_once(schemas):
    codec = _framed(registry=Registry(schemas.url))
    value = b"\0\0\0\0\7" + bytes.fromhex("0000c03f")  # 1.5 as an Avro float
    assert codec.decode_many([value, value]) == [1.5, 1.5]
    assert schemas.asked == [("GET", "/schemas/ids/7", None)]


def test_a_record_is_read_by_avros_rules_of_evolution(schemas):
    old = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}, {"name": "gone", "type": "string"}]}
    fields = [{"name": "x", "type": "long"}, {"name": "new", "type": "double", "default": 0.5}]
    schemas.texts[3] = json.dumps(old)
    codec = _framed(make_schema("P", {"type": "record", "name": "P", "fields": fields}), registry=Registry(schemas.url))
    assert codec.decode(b"\0\0\0\0\3" + b"\x08" + b"\x02a") == {"x": 4, "new": 0.5}


def test_a_writers_schema_that_cannot_be_read_so_costs_one_record(schemas):
    with pytest.raises(DecodeError, match="double"):
        _framed(registry=Registry(schemas.url)).decode(b"\0\0\0\0\x08" + b"\x02a")


def test_an_id_the_registry_does_not_know_costs_one_record(schemas):
    with pytest.raises(DecodeError, match=r"knows no schema 55.*Schema not found"):
        _framed(registry=Registry(schemas.url)).decode(b"\0\0\0\0\x37" + bytes.fromhex(ONE))


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "object"}',
        'syntax = "proto3";',
        "[" * 5000,
        '{"type":[' * 300 + '"int"' + "]}" * 300,
        7,
        None,
        '{"__fastavro_parsed": true, "type": "array", "items": "no such type"}',
    ],
)
def test_an_id_of_a_schema_that_is_no_avro_costs_one_record(schemas, text):
    schemas.texts[5] = text
    with pytest.raises(DecodeError, match="schema 5"):
        _framed(registry=Registry(schemas.url)).decode(b"\0\0\0\0\5" + bytes.fromhex(ONE))


def test_an_answer_without_end_is_no_answer(schemas, monkeypatch):
    monkeypatch.setattr("stream_scorer.codec.registry._MOST_ANSWER", 100)
    schemas.texts[5] = '"' + "x" * 200 + '"'
    with pytest.raises(Unavailable, match="an answer of more than 0 MB"):
        _framed(registry=Registry(schemas.url)).decode(b"\0\0\0\0\5" + bytes.fromhex(ONE))


def test_outputs_are_registered_once_under_their_subject(schemas):
    codec = _framed(registry=Registry(schemas.url + "/"))
    assert codec.encode(1.0).hex() == codec.encode(1.0).hex() == "0000000063" + ONE
    assert schemas.asked == [("POST", "/subjects/scores-value/versions", None)]
    assert fastavro.parse_schema(json.loads(schemas.texts[99])) == "double"


def test_a_registry_that_refuses_the_schema_ends_the_service(schemas):
    schemas.refuse["/subjects/scores-value/versions"] = (409, {"message": "incompatible"})
    with pytest.raises(BrokerError, match=r"answered 409: .*incompatible.*409 means an incompatible schema"):
        _framed(registry=Registry(schemas.url)).encode(1.0)


def test_credentials_in_the_url_are_sent_and_not_told(schemas):
    url = schemas.url.replace("//", "//us%40er:p%3Aw@")
    schemas.refuse["/schemas/ids/7"] = (401, {"message": "no"})
    with pytest.raises(BrokerError) as caught:
        Registry(url).schema(7)
    assert schemas.asked == [("GET", "/schemas/ids/7", "Basic dXNAZXI6cDp3")]
    assert "p:w" not in str(caught.value)
    assert "p%3Aw" not in str(caught.value)


def test_a_registry_that_is_away_may_come_back(schemas):
    schemas.shutdown()
    schemas.server_close()
    with pytest.raises(Unavailable, match=r"no answer .*--schema-registry"):
        Registry(schemas.url).schema(7)
