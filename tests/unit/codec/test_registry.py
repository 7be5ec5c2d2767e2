"""A schema registry as it may be: good, away, busy, another's, behind TLS. Both clients mean the same by each answer."""

from __future__ import annotations

import contextlib
import email.utils
import io
import json
import struct
import sys
import threading
import time

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for, registry_http
from stream_scorer.codec import registry as registry_module
from stream_scorer.codec.registry import MAX_ID, UNKNOWN_S, Registry, UnknownSchema, open_registry
from stream_scorer.codec.registry_access import USER_INFO, access
from stream_scorer.codec.registry_confluent import ConfluentCalls
from stream_scorer.codec.schema import make_schema
from stream_scorer.codec.schema_references import joined_schema
from stream_scorer.errors import BrokerError, DecodeError, SettingsError, StreamScorerError, Unavailable
from tests.support.registry import TOKEN, Certificates, KeepingHandler, Reply, registry

ID, SUBJECT = "/schemas/ids/7", "/subjects/scores-value/versions"
DOUBLE = make_schema("double", "double")
STOPS, WAITS, UNKNOWN = BrokerError, Unavailable, UnknownSchema


@pytest.fixture
def schemas():
    with registry() as server:
        yield server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _no_others(certificates, monkeypatch):
    """Python reads all certificates of a system for each client: 0.2 s."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.make("nobody")[0]))


@pytest.fixture(params=["own", "confluent"])
def opened(request):
    """Either client. The other one is only chosen for what our own cannot."""
    calls = ConfluentCalls if request.param == "confluent" else registry_http.HttpCalls
    return lambda url, properties={}: Registry(calls(access(url, properties)))


def _code(number):
    return {"error_code": number, "message": f"said {number}"}


ANSWERS = {
    "no such schema": (Reply(404, _code(40403)), UNKNOWN),
    "no such subject": (Reply(404, _code(40401)), STOPS),
    "another 404 of the registry": (Reply(404, _code(404)), STOPS),
    "a 404 of a gateway": (Reply(404, b"<html>default backend - 404</html>"), STOPS),
    "a 404 without a word": (Reply(404), STOPS),
    "a 404 of other JSON": (Reply(404, ["no"]), STOPS),
    "the code without the status": (Reply(400, _code(40403)), STOPS),
    **{str(status): (Reply(status, _code(status * 100 + 1)), STOPS) for status in (400, 401, 403, 405, 406, 409, 410)},
    "422": (Reply(422, _code(42201)), STOPS),
    **{str(status): (Reply(status, _code(50001)), WAITS) for status in (408, 429, 500, 501, 502, 503, 504, 599)},
    "a page of a gateway": (Reply(502, b"<html>Bad Gateway</html>"), WAITS),
    "503 without a word": (Reply(503), WAITS),
    **{str(status): (Reply(status, b"", {"Location": "https://there/x"}), STOPS) for status in (301, 302, 307, 308)},
    "204": (Reply(204), STOPS),
    "a login page": (Reply(200, b"<!doctype html><title>Log in</title>", {"Content-Type": "text/html"}), STOPS),
    "text": (Reply(200, b"it works!"), STOPS),
    "a list": (Reply(200, []), STOPS),
    "null": (Reply(200, None), STOPS),
    "no schema": (Reply(200, {"id": "x"}), STOPS),
    "a number for a schema": (Reply(200, {"schema": 7}), STOPS),
    "cut off": (Reply(200, {"schema": '"float"'}, cut=5), WAITS),
    "cut off without a length": (Reply(200, {"schema": '"float"'}, cut=5, length=False), WAITS),
    "no HTTP": (Reply(0, b"SSH-2.0-OpenSSH_9.6\r\n"), WAITS),
    "nothing": (Reply(0), WAITS),
}


@pytest.mark.parametrize(("said", "error"), ANSWERS.values(), ids=ANSWERS)
def test_what_each_answer_means(schemas, opened, said, error):
    schemas.refuse_all = said
    one = opened(schemas.url)
    with pytest.raises((StreamScorerError, UnknownSchema)) as caught:
        one.schema(7)
    assert type(caught.value) in (error, *error.__subclasses__())
    if error is not UNKNOWN:
        assert f"schema registry {schemas.url}: GET {ID}" in str(caught.value)
        with pytest.raises(error, match=f"POST {SUBJECT}"):
            one.register("scores-value", '"int"')


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (301, "points to https://there"),
        (400, r"said \[31mx .*cannot take the request: is --schema-registry the whole URL"),
        (401, r"\(a user and a password were sent\).*other credentials"),
        (403, r"\(a user and a password were sent\).*allow Read on the subjects"),
        (404, "path missing"),
        (409, "incompatible schema"),
        (422, "takes no such schema"),
    ],
)
def test_a_text_says_what_to_change(schemas, status, hint):
    """In one line, without what a terminal would obey."""
    said = {"error_code": 1, "message": "said\n\x1b[31mx\u202e"}
    schemas.refuse_all = Reply(status, said, {"Location": "https://there/x"} if status == 301 else {})
    with pytest.raises(BrokerError, match=f"answered {status}.*{hint}") as caught:
        open_registry(schemas.url, {USER_INFO: "us:secret"}).schema(7)
    assert str(caught.value).isprintable()
    with pytest.raises(BrokerError, match=f"answered {status}") as caught:
        open_registry(schemas.url, {}).register("scores-value", '"int"')
    assert "no credentials were sent" in str(caught.value)
    assert status != 403 or "Write on this subject" in str(caught.value)


SECRETS = {
    "a password": ({USER_INFO: "us@er:p:w,%ord"}, ["p:w,%ord", "dXNAZXI6cDp3LCVvcmQ=", "p%3Aw%2C%25ord"]),
    "a token": ({"bearer.auth.token": "t0ken-abcdef"}, ["t0ken-abcdef"]),
}


@pytest.mark.parametrize("given", SECRETS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_sent_to_where_it_points(schemas, opened, given, status):
    """Another port is another host. Nor do the texts have them, whatever the answer repeats of them."""
    properties, secrets = SECRETS[given]
    with registry() as elsewhere:
        text = " ".join(secrets) * 20
        schemas.refuse_all = Reply(status, text.encode(), {"Location": f"{elsewhere.url}{ID}?{secrets[0]}"})
        for ask in (lambda: opened(schemas.url, properties).schema(7),
                    lambda: opened(schemas.url, properties).register("s", '"int"')):  # fmt: skip
            with pytest.raises(BrokerError, match=f"answered {status}") as caught:
                ask()
            assert not [secret for secret in secrets if secret[:8] in str(caught.value)]
        assert elsewhere.asked == []


def test_an_issuer_that_points_elsewhere_gets_no_secret_there(schemas, oauth):
    with registry() as elsewhere:
        schemas.refuse[TOKEN] = Reply(307, b"", {"Location": elsewhere.url + TOKEN})
        with pytest.raises(StreamScorerError):
            oauth.schema(7)
        assert elsewhere.asked == []


def test_a_registry_that_is_away_may_come_back(schemas, opened):
    away = opened(schemas.url)
    schemas.refuse_all = Reply(0)
    with pytest.raises(Unavailable, match=r"no answer .*--schema-registry"):
        away.schema(7)
    schemas.refuse_all = None
    away.check()
    assert away.schema(7) == "float"


def test_nobody_listens(opened):
    with registry() as server:
        url = server.url
    with pytest.raises(Unavailable, match="no answer"):
        opened(url).schema(7)


def test_an_answer_that_takes_too_long(schemas, opened):
    schemas.refuse_all = Reply(200, {"schema": '"float"'}, slow_s=1.0)
    with pytest.raises(Unavailable, match="no answer"):
        opened(schemas.url, {"timeout": "0.2"}).schema(7)


def test_an_answer_that_comes_byte_by_byte_is_cut(schemas):
    schemas.refuse_all = Reply(0, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100, drip_s=0.05)
    with pytest.raises(Unavailable, match="no answer"):
        open_registry(schemas.url, {"timeout": "0.3"}).schema(7)


def test_an_answer_without_end_is_none_of_a_registry(schemas, monkeypatch):
    monkeypatch.setattr(registry_http, "_MAX_ANSWER", 100)
    schemas.texts[7] = '"' + "x" * 200 + '"'
    with pytest.raises(BrokerError, match="more than 0 MB"):
        open_registry(schemas.url, {}).schema(7)


def test_a_schema_that_is_no_avro_costs_one_record(schemas, opened):
    schemas.texts[7] = {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}
    with pytest.raises(UnknownSchema, match="not an Avro schema, but PROTOBUF"):
        opened(schemas.url).schema(7)


def test_an_id_that_is_not_known_is_asked_for_again_after_a_while(schemas, opened, monkeypatch):
    one = opened(schemas.url)
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="Schema not found"):
            one.schema(55)
    assert len(schemas.asked) == 1
    schemas.texts[55] = '"int"'
    later = time.monotonic() + UNKNOWN_S
    monkeypatch.setattr(registry_module.time, "monotonic", lambda: later)
    assert one.schema(55) == "int"


def test_what_is_remembered_has_a_bound(schemas, monkeypatch):
    monkeypatch.setattr(registry_module, "_MAX_UNKNOWN", 2)
    monkeypatch.setattr(registry_module, "MAX_KNOWN", 2)
    schemas.texts = dict.fromkeys(range(5), '"float"')
    one = open_registry(schemas.url, {})
    for number in range(100, 105):
        with pytest.raises(UnknownSchema):
            one.schema(number)
        assert one.schema(number - 100) == "float"
    assert list(one._unknown) == [103, 104]
    assert list(one._schemas) == [3, 4]


def _framed(numbers):
    return [struct.pack(">bI", 0, number) + struct.pack("<d", 0.5) for number in numbers]


def test_many_unknown_ids_are_asked_for_at_once_and_once_each(schemas, opened):
    """Each record of a batch may have an id of its own. 16 requests wait for each other in the test's registry."""
    schemas.texts[7] = '"double"'
    schemas.together = threading.Barrier(registry_module.AT_ONCE)
    codec = codec_for("avro-binary", DOUBLE, framing="registry", registry=opened(schemas.url))
    batch = _framed([7, *range(1000, 1000 + 4 * registry_module.AT_ONCE - 1)])
    with pytest.raises(DecodeError, match="knows no schema 10"):
        codec.decode_many(batch)
    for data in batch[1:]:
        with pytest.raises(DecodeError, match="Schema not found"):
            codec.decode(data)
    assert codec.decode(batch[0]) == 0.5
    assert len(schemas.asked) == 4 * registry_module.AT_ONCE


def test_ahead_of_a_batch_a_registry_that_is_away_is_not_asked_for_every_id(schemas):
    schemas.refuse_all = Reply(503, b"", {"Retry-After": "30"})
    codec = codec_for("avro-binary", DOUBLE, framing="registry", registry=open_registry(schemas.url, {}))
    with pytest.raises(Unavailable):
        codec.decode_many(_framed(range(1000)))
    assert len(schemas.asked) == registry_module.AT_ONCE + 1
    with pytest.raises(Unavailable, match="wants no request"):
        codec.decode_many(_framed(range(1000)))
    assert len(schemas.asked) == registry_module.AT_ONCE + 1


def test_one_connection_serves_many_requests_and_a_closed_one_is_opened_anew(schemas):
    schemas.texts = dict.fromkeys(range(30), '"float"')
    schemas.RequestHandlerClass = KeepingHandler
    with contextlib.closing(open_registry(schemas.url, {})) as one:
        for number in range(10):
            one.schema(number)
        assert schemas.connections == 1
        schemas.hang_up()
        assert one.schema(10) == "float"
        assert schemas.connections == 2


def test_a_number_that_no_id_can_be_is_not_asked_for(schemas, opened):
    """The registry would answer 404 without its code, and one wrong record would end the service."""
    schemas.refuse_all = Reply(404, _code(404))
    with pytest.raises(UnknownSchema, match="ids go up to"):
        opened(schemas.url).schema(MAX_ID + 1)
    assert schemas.asked == []


@pytest.mark.parametrize("after", ["30", "100000", "date"])
def test_it_is_left_alone_for_as_long_as_it_asks(schemas, monkeypatch, after):
    """But for no longer than a minute."""
    now = time.monotonic()
    monkeypatch.setattr(registry_module.time, "monotonic", lambda: now)
    after = email.utils.formatdate(time.time() + 40, usegmt=True) if after == "date" else after
    schemas.refuse_all = Reply(429, _code(42901), {"Retry-After": after})
    one = open_registry(schemas.url, {})
    with pytest.raises(Unavailable, match="answered 429"):
        one.schema(7)
    schemas.refuse_all = None
    for ask in (one.check, lambda: one.schema(7), lambda: one.register("s", '"int"')):
        with pytest.raises(Unavailable, match="wants no request for"):
            ask()
    assert len(schemas.asked) == 1
    now += 61
    one.check()
    assert one.schema(7) == "float"


@pytest.mark.parametrize("after", ["-5", "soon", ""])
def test_a_wish_that_is_none_is_not_heard(schemas, after):
    schemas.refuse_all = Reply(503, b"", {"Retry-After": after})
    one = open_registry(schemas.url, {})
    with pytest.raises(Unavailable):
        one.schema(7)
    schemas.refuse_all = None
    one.check()


def test_check_finds_what_was_not_answered_and_asks_for_nothing_else(schemas, opened):
    one = opened(schemas.url)
    one.check()
    schemas.refuse_all = Reply(503)
    with pytest.raises(Unavailable):
        one.register("scores-value", '"int"')
    with pytest.raises(Unavailable):
        one.check()
    schemas.refuse_all = None
    one.check()
    asked = len(schemas.asked)
    assert one.register("scores-value", '"int"') == 99
    one.check()
    assert len(schemas.asked) == asked


def test_check_takes_no_for_an_answer(schemas, opened):
    one = opened(schemas.url)
    schemas.refuse_all = Reply(503)
    with pytest.raises(Unavailable):
        one.schema(55)
    schemas.refuse_all = None
    one.check()
    with pytest.raises(UnknownSchema):
        one.schema(55)


@pytest.mark.parametrize("given", ["url", "properties"])
def test_credentials_are_sent_and_not_told(schemas, given):
    schemas.refuse_all = Reply(401, _code(40101))
    if given == "url":
        one = open_registry(schemas.url.replace("//", "//us%40er:p%3Aw@"), {})
    else:
        one = open_registry(schemas.url, {"basic.auth.user.info": "us@er:p:w"})
    with pytest.raises(BrokerError) as caught:
        one.schema(7)
    assert schemas.asked == [("GET", ID, "Basic dXNAZXI6cDp3")]
    assert "p:w" not in str(caught.value)
    assert "p%3Aw" not in str(caught.value)


def test_confluents_client_has_them_too_and_logs_none(schemas, caplog):
    caplog.set_level("DEBUG")
    one = Registry(ConfluentCalls(access(schemas.url.replace("//", "//us%40er:p%3Aw@"), {})))
    assert one.schema(7) == "float"
    assert schemas.asked == [("GET", ID, "Basic dXNAZXI6cDp3")]
    schemas.refuse_all = Reply(401)
    with pytest.raises(BrokerError) as caught:
        one.schema(8)
    assert "p%3Aw" not in str(caught.value)
    assert "HTTP Request" in caplog.text
    assert "p%3Aw" not in caplog.text


def test_a_ca_of_ones_own(certificates, opened):
    with registry(tls=certificates.server()) as server:
        with pytest.raises(BrokerError, match=r"not trusted.*--registry ssl\.ca\.location=FILE"):
            opened(server.url).schema(7)
        assert opened(server.url, {"ssl.ca.location": str(certificates.ca)}).schema(7) == "float"


def test_a_certificate_of_another_name(certificates, opened):
    with registry(tls=certificates.server("elsewhere.example")) as server:  # noqa: SIM117
        with pytest.raises(BrokerError, match="not trusted"):
            opened(server.url, {"ssl.ca.location": str(certificates.ca)}).schema(7)


def test_a_registry_that_wants_a_clients_certificate(certificates, opened):
    certificate, key = certificates.make("client")
    ca = {"ssl.ca.location": str(certificates.ca)}
    mine = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    with registry(tls=certificates.server(wants_client=True)) as server:
        with pytest.raises(BrokerError, match=r"no TLS connection.*ssl\.certificate\.location=FILE"):
            opened(server.url, ca).schema(7)
        assert opened(server.url, ca | mine).schema(7) == "float"
        mine["ssl.key.location"] = str(certificates.encrypted("client", b"open sesame"))
        assert opened(server.url, ca | mine | {"ssl.key.password": "open sesame"}).schema(7) == "float"
        for wrong in ({}, {"ssl.key.password": "sesame"}):  # without one OpenSSL would ask the terminal, and wait
            with pytest.raises(SettingsError, match=r"ssl\.key\.password=@FILE"):
                access(server.url, ca | mine | wrong)


def test_tls_to_a_registry_that_has_none(schemas, opened):
    with pytest.raises(BrokerError, match="speak http only"):
        opened(schemas.url.replace("http:", "https:")).schema(7)


def test_no_tls_to_a_registry_that_has_it(certificates, opened):
    with registry(tls=certificates.server()) as server, pytest.raises(Unavailable):
        opened(server.url.replace("https:", "http:")).schema(7)


def test_a_bearer_token(schemas, opened):
    assert opened(schemas.url, {"bearer.auth.token": "abc"}).schema(7) == "float"
    assert schemas.asked == [("GET", ID, "Bearer abc")]


@pytest.mark.parametrize("given", ["property", "environment"])
def test_a_proxy_is_asked_with_its_own_password(schemas, monkeypatch, given):
    """The test's registry stands in for the proxy, which gets whole URLs."""
    url = schemas.url.replace("//", "//us:proxy-secret@")
    monkeypatch.setenv("no_proxy", "")
    if given == "environment":
        monkeypatch.setenv("http_proxy", url)
    one = open_registry("http://registry.invalid:8081", {"proxy": url} if given == "property" else {})
    assert one.schema(7) == "float"
    assert schemas.targets == [f"http://registry.invalid:8081{ID}"]
    schemas.refuse_all = Reply(407, b"no proxy-secret")
    with pytest.raises(BrokerError, match="--registry proxy=URL") as caught:
        one.schema(8)
    assert given == "environment" or "secret" not in str(caught.value)


@pytest.fixture
def oauth(schemas):
    return open_registry(
        schemas.url,
        {
            "bearer.auth.client.id": "me",
            "bearer.auth.client.secret": "secret",
            "bearer.auth.issuer.endpoint.url": schemas.url + TOKEN,
        },
    )


def test_a_token_of_an_issuer(schemas, oauth):
    assert oauth.schema(7) == "float"
    assert [(method, path) for method, path, _ in schemas.asked] == [("POST", TOKEN), ("GET", ID)]
    assert schemas.asked[1][2] == "Bearer from-issuer"


ISSUER = {
    "wrong secret": (Reply(401, {"error": "invalid_client"}), STOPS),
    "a page": (Reply(404, b"<html>"), STOPS),
    "no token": (Reply(200, {"token_type": "bearer"}), STOPS),
    "busy": (Reply(503, b"<html>"), WAITS),
    "away": (Reply(0), WAITS),
}


@pytest.mark.parametrize(("said", "error"), ISSUER.values(), ids=ISSUER)
def test_an_issuer_that_gives_no_token(schemas, oauth, said, error):
    schemas.refuse[TOKEN] = said
    with pytest.raises(error, match=f"schema registry {schemas.url}") as caught:
        oauth.schema(7)
    assert "secret" not in str(caught.value)


WRONG = {
    "unknown": ({"ssl.ca.locaton": "x"}, r"no such property. Did you mean ssl\.ca\.location\?"),
    "url": ({"url": "http://x"}, "no such property"),
    "no file": ({"ssl.ca.location": "/nowhere/ca.pem"}, r"ssl\.ca\.location: there is no /nowhere/ca\.pem"),
    "no certificate": ({"ssl.ca.location": __file__}, "has no certificates in PEM"),
    "no certificate of ours": ({"ssl.certificate.location": __file__}, "no certificate with its key in PEM"),
    "a key alone": ({"ssl.key.location": __file__}, r"ssl\.certificate\.location is missing"),
    "no pair": ({"basic.auth.user.info": "secret"}, "USER:PASSWORD"),
    "two": ({"basic.auth.user.info": "a:secret", "bearer.auth.token": "secret"}, "one of the two"),
    "half of a client": ({"bearer.auth.client.id": "me"}, r"bearer\.auth\.client\.secret"),
    "no number": ({"timeout": "soon"}, "number of seconds"),
    "no time": ({"timeout": "nan"}, "number of seconds"),
    "a line end in a token": ({"bearer.auth.token": "secret\r\nX: y"}, "printable ASCII"),
    "a source that is none": ({"bearer.auth.credentials.source": "SASL"}, "Unrecognized bearer"),
    "no URL": ({"proxy": "secret"}, "proxy: expected a URL"),
}


@pytest.mark.parametrize(("properties", "text"), WRONG.values(), ids=WRONG)
def test_wrong_properties_are_told_before_a_socket_opens(properties, text):
    with pytest.raises(SettingsError, match=rf"--registry.*{text}") as caught:
        open_registry("http://127.0.0.1:1", properties)
    assert "secret" not in str(caught.value).replace("client.secret", "")


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(
        SettingsError, match=r"--registry bearer\.auth\.client\.id needs .*pip install 'stream-scorer\[registry\]'"
    ):
        open_registry("https://127.0.0.1:1", {"bearer.auth.client.id": "me"})
    open_registry("http://127.0.0.1:1", {"basic.auth.user.info": "a:b"})


def _record(name, *fields):
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{at}", "type": kind} for at, kind in enumerate(fields)],
    }


def _referring(definition, *references):
    found = [{"name": name, "subject": subject, "version": 1} for name, subject in references]
    return {"schema": json.dumps(definition), "references": found}


def test_a_schema_that_refers_to_others_which_refer_to_more(schemas, opened):
    schemas.subjects["price value", 1] = {"schema": json.dumps(_record("a.Price", "double"))}
    schemas.subjects["quote", 1] = _referring(_record("b.Quote", "a.Price", "a.Price"), ("a.Price", "price value"))
    schemas.texts[7] = _referring(
        _record("Both", "b.Quote", {"type": "array", "items": "a.Price"}),
        ("b.Quote", "quote"),
        ("a.Price", "price value"),
    )
    writer = opened(schemas.url).schema(7)
    value = {"f0": {"f0": {"f0": 1.0}, "f1": {"f0": 2.0}}, "f1": [{"f0": 3.0}]}
    data = b"".join(
        bytes.fromhex(one) for one in ("000000000000f03f", "0000000000000040", "02", "0000000000000840", "00")
    )
    assert fastavro.schemaless_reader(io.BytesIO(data), writer, None) == value
    assert [path for _, path, _ in schemas.asked] == [
        ID,
        "/subjects/quote/versions/1",
        "/subjects/price%20value/versions/1",
    ]


def test_several_types_on_one_topic(schemas, opened):
    """A union of references: how registries are told of topics with more than one kind of record."""
    for name in ("A", "B"):
        schemas.subjects[name, 1] = {"schema": json.dumps(_record(name, "int"))}
    schemas.texts[7] = _referring(["A", "B"], ("A", "A"), ("B", "B"))
    assert fastavro.schemaless_reader(io.BytesIO(b"\2\4"), opened(schemas.url).schema(7), None) == {"f0": 2}


def test_a_reference_that_the_registry_does_not_have_stops(schemas, opened):
    schemas.texts[7] = _referring(_record("R", "A"), ("A", "gone"))
    with pytest.raises(BrokerError, match="GET /subjects/gone/versions/1 answered 404"):
        opened(schemas.url).schema(7)


def _inside(kind, times):
    for _ in range(times):
        kind = {"type": "array", "items": kind}
    return json.dumps(kind)


HOSTILE = {
    "brackets": "[" * 100_000,
    "closed brackets": "[" * 100_000 + "]" * 100_000,
    "objects": '{"type":' * 100_000 + '"int"' + "}" * 100_000,
    "nested": _inside("int", 300),
    "digits": '{"type":"fixed","name":"F","size":' + "9" * 5_000 + "}",
    "long": json.dumps("x" * registry_module.MAX_SCHEMA),
    "wide": json.dumps([{"type": "map", "values": "int"}] * 50_000),
    "a control character": json.dumps({"type": "\x1b[31m\nforged"}),
    "half a character": json.dumps("\ud800"),
    "null": "null",
    "a number": "7",
    "nothing": "",
    "no fields": '{"type": "record", "name": ["R"], "fields": 7}',
    "fastavro's own": '{"type": "record", "name": "R", "fields": [], "__fastavro_parsed": true}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_schema_costs_its_own_records(schemas, opened, text):
    """As a schema, and as one that a good schema refers to. It is asked for once."""
    schemas.texts[5] = text
    schemas.texts[6] = _referring(_record("R", "int"), ("B", "bad"))
    schemas.subjects["bad", 1] = {"schema": text}
    one = opened(schemas.url)
    for number in (5, 5, 6, 6):
        with pytest.raises(UnknownSchema) as caught:
            one.schema(number)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
    assert len(schemas.asked) == 3
    assert one.schema(7) == "float"


REFERENCES = {
    "a version that none can be": ("known", -7),
    "half a character": ("\ud800", 1),
    "two lines": ("a\nb", 1),
    "another path": ("..", 1),
}


@pytest.mark.parametrize(("subject", "version"), REFERENCES.values(), ids=REFERENCES)
def test_a_reference_that_leads_nowhere_costs_its_own_records(schemas, opened, subject, version):
    schemas.texts[5] = {
        "schema": '"int"', "references": [{"name": "X", "subject": subject, "version": version}]
    }  # fmt: skip
    with pytest.raises(UnknownSchema, match="it refers to a s") as caught:
        opened(schemas.url).schema(5)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", [-1, 2**31, 10**400])
def test_a_number_that_no_id_can_be_is_not_written_before_outputs(schemas, opened, number):
    schemas.refuse_all = Reply(200, {"id": number})
    with pytest.raises(BrokerError, match=r"no id|not JSON|no answer of"):
        opened(schemas.url).register("s", '"int"')


def test_an_answer_of_brackets_is_none_of_a_registry(schemas, opened):
    schemas.refuse_all = Reply(200, b"[" * 100_000)
    with pytest.raises(BrokerError, match="Something else answers there"):
        opened(schemas.url).schema(7)


def test_references_in_a_circle_end(schemas, opened):
    schemas.subjects["a", 1] = _referring(_record("A", "B"), ("B", "b"))
    schemas.subjects["b", 1] = _referring(_record("B", "A"), ("A", "a"))
    schemas.texts[7] = _referring(_record("R", "A"), ("A", "a"))
    with pytest.raises(UnknownSchema, match="not an Avro schema"):
        opened(schemas.url).schema(7)


def test_references_without_end_end(schemas, monkeypatch):
    monkeypatch.setattr(registry_module, "MAX_REFERENCES", 3)
    for at in range(10):
        schemas.subjects[f"s{at}", 1] = _referring(_record(f"R{at}", "int"), (f"R{at + 1}", f"s{at + 1}"))
    schemas.texts[7] = _referring(_record("R", "R0"), ("R0", "s0"))
    with pytest.raises(UnknownSchema, match="more than 3 others"):
        open_registry(schemas.url, {}).schema(7)


@given(st.data())
def test_a_schema_of_several_reads_what_was_written_with_them(data):
    """Each type uses those before it, in fields, arrays, maps and unions, with and without a namespace."""
    count = data.draw(st.integers(1, 5))
    spaces = data.draw(st.sampled_from([[""], ["a.", "b.c."]]))  # a name without one is looked for in its user's own
    names = [data.draw(st.sampled_from(spaces)) + f"R{at}" for at in range(count)]
    definitions = []
    for at, name in enumerate(names):
        kinds = ["int", "string", *(name for name in names[:at])]
        inner = st.sampled_from(kinds)
        kind = st.one_of(
            inner,
            inner.map(lambda kind: {"type": "array", "items": kind}),
            inner.map(lambda kind: {"type": "map", "values": kind}),
            inner.map(lambda kind: ["null", kind]),
        )
        definitions.append(_record(name, *data.draw(st.lists(kind, max_size=3))))
    named = {}
    parsed = [fastavro.parse_schema(json.loads(json.dumps(one)), named) for one in definitions]
    value = generate_one(parsed[-1])
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed[-1], value)
    joined = joined_schema(definitions[-1], definitions[:-1])
    read = fastavro.schemaless_reader(io.BytesIO(out.getvalue()), joined, None)
    assert read == fastavro.schemaless_reader(io.BytesIO(out.getvalue()), parsed[-1], None)
