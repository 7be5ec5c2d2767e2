"""What no honest client sends is answered by 400 and a text that names the field; nothing of it is a failure of ours."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest

from support.engine import PYTHON3
from tests.support.in_process import InProcess

ECHO = b"def action(x):\n    yield x\n"
JSON = {"content-type": "application/json"}
DIGITS = "9" * 400


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with InProcess(tmp_path_factory.mktemp("engine")) as engine:
        assert engine.ask("PUT", "/1/model/m", ECHO, {"content-type": PYTHON3}).status == 201
        yield engine


def _refused(answer, *parts):
    assert answer.status == 400, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.isprintable()
    assert all(part in answer.text for part in parts), answer.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"a%00b", "control character U+0000"),
        (b"a%0ab", "control character U+000A"),
        (b"%1b[31m", "control character U+001B"),
        (b"%ff%fe", "not UTF-8"),
        (b"%ed%a0%80", "not UTF-8"),
        (b"x" * 300, "300 bytes"),
        (b"%c3%a9" * 128, "256 bytes"),
        (b"9" * 5000, "5,000 bytes"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/1/model/"), ("PUT", b"/1/schema/"), ("DELETE", b"/1/stream/"), ("GET", b"/1/control/sensor/"),
        ("DELETE", b"/2/active/sensor/"), ("DELETE", b"/2/active/stream/"), ("POST", b"/2/active/schema/verify/"),
        ("DELETE", b"/2/active/schema/verify/"), ("PUT", b"/1/model/m/snapshot/"), ("PUT", b"/1/model/m/attachment/"),
    ],
)  # fmt: skip
def test_names_in_paths(engine, method, path, name, reason):
    _refused(engine.ask(method, path + name, b"{}"), reason)


@pytest.mark.parametrize(
    "ranged",
    ["0001-01-01T00:00:00%2B14:00--", "--9999-12-31T23:59:59-14:00", "2020-13-01--", "%00--", "x"],
)
def test_dates_at_the_edges_of_time(engine, ranged):
    _refused(engine.ask("GET", "/1/model/m/snapshot", query=f"date-range={ranged}"), "date-range")


def test_dates_before_the_year_1000_sort_as_others_do(engine):
    assert engine.ask("PUT", "/1/model/m/snapshot/one", b"x").status == 201
    found = engine.ask("GET", "/1/model/m/snapshot", query="date-range=0300-01-01--9999-12-31").json()
    assert [one["id"] for one in found] == ["one"]


_SENSOR = {
    "Report.Interval": '{"Tap": "sys.memory", "Report": {"Interval": %s}}',
    "Activate.Interval": '{"Tap": "sys.memory", "Activate": {"Type": "regular", "Interval": %s}}',
    "Activate.Intensity": '{"Tap": "sys.memory", "Activate": {"Type": "random", "Intensity": %s}}',
    "Activate.MaxReads": '{"Tap": "sys.memory", "Activate": {"Type": "regular", "Interval": 1, "MaxReads": %s}}',
    "Activate.Duration": '{"Tap": "sys.memory", "Activate": {"Type": "regular", "Interval": 1, "Duration": %s}}',
    "Filter.Threshold": '{"Tap": "sys.memory", "Filter": {"Type": ">", "Threshold": %s}}',
    "Aggregate.SampleSize": '{"Tap": "sys.memory", "Aggregate": {"Type": "accumulate", "SampleSize": %s}}',
}
_STREAM = {
    "LingerTime": '{"Transport": "REST", "LingerTime": %s}',
    "NagleTime": '{"Transport": "REST", "Batching": {"NagleTime": %s}}',
    "Watermark": '{"Transport": "REST", "Batching": {"Watermark": %s}}',
    "Period": '{"Transport": {"Type": "time", "Period": %s}}',
    "Delay": '{"Transport": {"Type": "time", "Delay": %s}}',
    "MaxCount": '{"Transport": {"Type": "time", "MaxCount": %s}}',
    "Port": '{"Transport": {"Type": "UDP", "Port": %s}}',
    "Size": '{"Transport": "REST", "Envelope": {"Type": "fixed", "Size": %s}}',
    "SkipTo": '{"Transport": {"Type": "inline", "Data": "1"}, "SkipTo": %s}',
    "Separator": '{"Transport": "REST", "Envelope": {"Type": "delimited", "Separator": %s}}',
    "Schema": '{"Transport": "REST", "Schema": {"type": "record", "name": %s, "fields": []}}',
}
_VALUES = ["1e400", "-1e400", DIGITS, "-" + DIGITS, "9" * 5000, "NaN", "Infinity", '"\\ud800"', "[]"]


@pytest.mark.parametrize("value", [*_VALUES, '"1e400G"', '"1e308T"'])
@pytest.mark.parametrize("field", _SENSOR)
def test_numbers_of_sensors(engine, field, value):
    for path in ("/2/active/sensor", "/api/1/service/connect/1/control/sensor"):
        _refused(engine.ask("POST", path, (_SENSOR[field] % value).encode(), JSON), field)


@pytest.mark.parametrize("value", _VALUES)
@pytest.mark.parametrize("field", _STREAM)
def test_values_of_streams(engine, field, value):
    body = (_STREAM[field] % value).encode()
    for method, path, query in (
        ("PUT", "/2/active/stream/0", "dry-run=true"),
        ("PUT", "/2/active/stream/0", ""),
        ("POST", "/1/stream/sample", "n=1"),
    ):
        _refused(engine.ask(method, path, body, JSON, query), "" if field == "Schema" else field)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01"])
def test_a_time_stream_at_the_edges_of_time(engine, time):
    stream = {"Transport": {"Type": "time", "TimeZero": time, "Period": 5e-324, "MaxCount": 2}}
    assert len(engine.ask("POST", "/1/stream/sample", stream, JSON, "n=2").json()) == 2


@pytest.mark.parametrize(
    "transport",
    [
        {"Type": "TCP", "Host": "x" * 70 + ".example", "Port": 1},
        {"Type": "TCP", "Host": ".", "Port": 1},
        {"Type": "UDP", "BindTo": "..", "Port": 5000},
        {"Type": "HTTP", "Url": "http://[::1"},
        {"Type": "HTTP", "Url": "http://127.0.0.1:99999/"},
        {"Type": "HTTP", "Url": "http://127.0.0.1:1/a b\r\nc"},
        {"Type": "file", "Path": "x" * 5000},
        {"Type": "exec", "Run": "x" * 5000},
        {"Type": "exec", "Run": "/"},
    ],
)
def test_addresses_that_no_library_takes(engine, transport):
    _refused(engine.ask("POST", "/1/stream/sample", {"Transport": transport}, JSON), "")


@pytest.mark.parametrize("value", ["1e400", DIGITS, "9" * 5000, '"\\ud800"', '{"\\ud800": 1}', "1e308"])
@pytest.mark.parametrize("schema", ["int", "long", "float", "bytes", {"type": "map", "values": "string"}])
def test_data_against_a_schema(engine, schema, value):
    number = engine.ask("POST", "/2/active/schema/verify", schema, JSON).json()["id"]
    _refused(engine.ask("POST", f"/2/active/schema/verify/{number}", f'{{"data": {value}}}'.encode(), JSON))


def test_nan_is_a_double_as_it_is_in_records(engine):
    number = engine.ask("POST", "/2/active/schema/verify", "double", JSON).json()["id"]
    assert engine.ask("POST", f"/2/active/schema/verify/{number}", b'{"data": NaN}', JSON).status == 204


@pytest.mark.parametrize("header", ["[", "a:" + "9" * 5000, "a:0", "a:65536", "a:²", ":99", "a b"])
def test_host_headers(engine, header):
    _refused(engine.ask("GET", "/1/connect", headers={"host": header}), "Host")


def test_other_paths_and_methods_say_what_came_in_one_line(engine):
    for method, path, status in (("GET", b"/%ff", 404), ("GET", b"/a%1b[31m%0d%0ab", 404), ("FOO", b"/1/health", 405)):
        answer = engine.ask(method, path, headers={"host": "["})
        assert (answer.status, answer.text.isprintable()) == (status, True)


SOURCES = {
    "minus signs": b"x=" + b"-" * 100_000 + b"1",
    "nots": b"x=" + b"not " * 100_000 + b"1",
    "lambdas": b"x=" + b"lambda:" * 50_000 + b"1",
    "elifs": b"if 1: pass\n" + b"elif 1: pass\n" * 20_000,
    "brackets": b"x=" + b"(" * 100_000,
    "indices": b"x=a" + b"[0]" * 10_000,
    "sums": b"x=1" + b"+1" * 10_000,
    "a zero byte": b"x=\0",
    "not UTF-8": b"x='\xff'",
    "a surrogate": b"x='\xed\xa0\x80'",
    "a codec of bytes": b"# coding: rot13\nx=1",
    "no codec": b"# coding: nonsense\nx=1",
    "surrogates by a codec": b"# coding: unicode_escape\n# fastscore.schema.0: \\ud800\nx=1",
    "5,000 digits": b"x=" + b"9" * 5000,
    "a slot of 5,000 digits": b"# fastscore.slot." + b"9" * 5000 + b": in-use",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_sources_that_no_compiler_takes(engine, kind):
    for query in ("dry-run=true", ""):
        _refused(
            engine.ask("PUT", "/1/job/model", SOURCES[kind] + b"\n" + ECHO, {"content-type": PYTHON3}, query), "model"
        )


def _multipart(*parts):
    body = b"".join(
        b"--bnd\r\nContent-Disposition: "
        + kind
        + b"\r\nContent-Type: "
        + content_type.encode()
        + b"\r\n\r\n"
        + data
        + b"\r\n"
        for kind, content_type, data in parts
    )
    return body + b"--bnd--\r\n", {"content-type": "multipart/mixed; boundary=bnd"}


def _load(engine, name, archive, query=""):
    attachment = b'attachment; filename="' + name + b'"', "application/gzip", archive
    model = b'x-model; name="m"', PYTHON3, ECHO
    return engine.ask("PUT", "/1/job/model", *_multipart(attachment, model), query)


def _tar(name="a.py", **pax):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = 3, pax
        tar.addfile(info, io.BytesIO(b"x=1"))
    return out.getvalue()


def _zip(name="a.py", content="x=1"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr(name, content)
    return out.getvalue()


def _flipped(data, at):
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 8]) + data[at + 8 :]


ARCHIVES = {
    "xz, cut off": lzma.compress(_tar())[:-80],
    "xz, flipped": _flipped(lzma.compress(_tar()), 40),
    "gz, cut off": gzip.compress(_tar())[:-40],
    "gz, flipped": _flipped(gzip.compress(_tar()), 30),
    "bz2, cut off": bz2.compress(_tar())[:-12],
    "pax: a sparse map": _tar(**{"GNU.sparse.map": "1,x"}),
    "pax: a sparse size": _tar(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "zz"}),
    "pax: a zero byte": _tar(path="a\0b"),
    "a long name": _tar("x" * 300),
    "a deep name": _tar("/".join(["d" * 200] * 100)),
    "zip: a long name": _zip("x" * 300),
    "zip: flipped content": _zip("a.py", "x" * 40).replace(b"x" * 40, b"x" * 39 + b"y"),
    "zip: a method": _zip().replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0"),
    "zip: encrypted": _zip().replace(b"\x14\0\0\0\0\0", b"\x14\0\1\0\0\0"),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_corrupt_archives_are_refused_by_the_load(engine, kind):
    for query in ("dry-run=true", ""):
        _refused(_load(engine, b"a.tar.gz", ARCHIVES[kind], query), "attachment ", "a.tar.gz: ")


@pytest.mark.parametrize(
    "name", [b"x" * 300 + b".zip", "é".encode() * 130 + b".zip", b"a\0b.zip", b"a/b", b"..", b"\\\\"]
)
def test_file_names(engine, name):
    _refused(_load(engine, name, _zip()), "attachment name")


@pytest.mark.parametrize("name", [b"a\0b", b"\x1b[31m", b"x" * 300])
def test_names_in_headers(engine, name):
    header = b'x-model; name="' + name + b'"'
    _refused(
        engine.ask("PUT", "/1/job/model", ECHO, {"content-type": PYTHON3, "content-disposition": header}), "model name"
    )
    stream = json.dumps({"Transport": "REST"}).encode()
    _refused(engine.ask("PUT", "/2/active/stream/0", stream, JSON | {"content-disposition": header}), "stream name")
    schema = b'x-schema; name="' + name + b'"', "application/json", b'"int"'
    _refused(engine.ask("PUT", "/1/job/model", *_multipart(schema)), "schema name")


def test_a_command_of_a_policy_has_no_zero_byte(engine):
    policy = b'x: {policy: install, command: "a\\0b"}'
    headers = {"content-type": "application/vnd.fastscore.import-policy-python3"}
    _refused(engine.ask("PUT", "/1/policy", policy, headers, "preinstall=true"), "x: command")
