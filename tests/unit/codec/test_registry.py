"""A schema registry as it may be: good, away, busy, another's, behind TLS. Both clients mean the same by each answer."""

from __future__ import annotations

import email.utils
import io
import json
import sys
import time

import fastavro
import pytest
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import registry as registry_module
from stream_scorer.codec import registry_http
from stream_scorer.codec.registry import MAX_ID, UNKNOWN_S, Registry, UnknownSchema, open_registry
from stream_scorer.codec.registry_confluent import ConfluentCalls
from stream_scorer.codec.schema_references import joined_schema
from stream_scorer.errors import BrokerError, SettingsError, StreamScorerError, Unavailable
from tests.support.registry import TOKEN, Certificates, Reply, registry

ID, SUBJECT = "/schemas/ids/7", "/subjects/scores-value/versions"
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
    return lambda url: Registry(ConfluentCalls(url, {})) if request.param == "confluent" else open_registry(url, {})


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
    [(301, "points to https://there"), (401, "other credentials"), (404, "path missing"), (409, "incompatible schema")],
)
def test_a_text_says_what_to_change(schemas, status, hint):
    schemas.refuse_all = Reply(status, b"", {"Location": "https://there/x"} if status == 301 else {})
    with pytest.raises(BrokerError, match=f"answered {status}.*{hint}"):
        open_registry(schemas.url, {}).schema(7)


def test_credentials_are_not_sent_to_where_it_points(schemas):
    with registry() as elsewhere:
        schemas.refuse_all = Reply(301, b"", {"Location": elsewhere.url + ID})
        with pytest.raises(BrokerError):
            open_registry(schemas.url.replace("//", "//user:secret@"), {}).schema(7)
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


def test_an_answer_that_takes_too_long(schemas, opened, monkeypatch):
    monkeypatch.setattr(registry_http, "TIMEOUT_S", 0.2)
    monkeypatch.setattr("stream_scorer.codec.registry_confluent.TIMEOUT_S", 0.2)
    schemas.refuse_all = Reply(200, {"schema": '"float"'}, slow_s=1.0)
    with pytest.raises(Unavailable, match="no answer"):
        opened(schemas.url).schema(7)


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


def test_what_is_remembered_of_unknown_ids_has_a_bound(schemas, monkeypatch):
    monkeypatch.setattr(registry_module, "_MAX_UNKNOWN", 2)
    one = open_registry(schemas.url, {})
    for number in range(100, 105):
        with pytest.raises(UnknownSchema):
            one.schema(number)
    assert len(one._unknown) <= 2


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


def test_confluents_client_has_them_too(schemas):
    one = Registry(ConfluentCalls(schemas.url.replace("//", "//us%40er:p%3Aw@"), {}))
    assert one.schema(7) == "float"
    assert schemas.asked == [("GET", ID, "Basic dXNAZXI6cDp3")]
    schemas.refuse_all = Reply(401)
    with pytest.raises(BrokerError) as caught:
        one.schema(8)
    assert "p%3Aw" not in str(caught.value)


def test_a_ca_of_ones_own(certificates):
    with registry(tls=certificates.server()) as server:
        with pytest.raises(BrokerError, match=r"not trusted.*--registry ssl\.ca\.location=FILE"):
            open_registry(server.url, {}).schema(7)
        with pytest.raises(BrokerError, match="not trusted"):
            open_registry(server.url, {"timeout": "5"}).schema(7)
        assert open_registry(server.url, {"ssl.ca.location": str(certificates.ca)}).schema(7) == "float"


def test_a_certificate_of_another_name(certificates):
    with registry(tls=certificates.server("elsewhere.example")) as server:  # noqa: SIM117
        with pytest.raises(BrokerError, match="not trusted"):
            open_registry(server.url, {"ssl.ca.location": str(certificates.ca)}).schema(7)


def test_a_registry_that_wants_a_clients_certificate(certificates):
    certificate, key = certificates.make("client")
    ca = {"ssl.ca.location": str(certificates.ca)}
    mine = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    with registry(tls=certificates.server(wants_client=True)) as server:
        with pytest.raises(BrokerError, match=r"no TLS connection.*ssl\.certificate\.location=FILE"):
            open_registry(server.url, ca).schema(7)
        assert open_registry(server.url, ca | mine).schema(7) == "float"


def test_tls_to_a_registry_that_has_none(schemas, opened):
    with pytest.raises(BrokerError, match="speak http only"):
        opened(schemas.url.replace("http:", "https:")).schema(7)


def test_no_tls_to_a_registry_that_has_it(certificates, opened):
    with registry(tls=certificates.server()) as server, pytest.raises(Unavailable):
        opened(server.url.replace("https:", "http:")).schema(7)


def test_a_bearer_token(schemas):
    assert open_registry(schemas.url, {"bearer.auth.token": "abc"}).schema(7) == "float"
    assert schemas.asked == [("GET", ID, "Bearer abc")]


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
    "no certificate": ({"ssl.ca.location": __file__}, ": SSLError"),
    "a key alone": ({"ssl.key.location": __file__}, r"ssl\.certificate\.location required"),
    "no pair": ({"basic.auth.user.info": "user"}, "USER:PASSWORD"),
    "half of a client": ({"bearer.auth.client.id": "me"}, r"bearer\.auth\.client\.secret"),
    "no number": ({"timeout": "soon"}, "could not convert"),
}


@pytest.mark.parametrize(("properties", "text"), WRONG.values(), ids=WRONG)
def test_wrong_properties_are_told_before_a_socket_opens(properties, text):
    with pytest.raises(SettingsError, match=rf"--registry.*{text}"):
        open_registry("http://127.0.0.1:1", properties)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(
        SettingsError, match=r"--registry ssl\.ca\.location needs .*pip install 'stream-scorer\[registry\]'"
    ):
        open_registry("https://127.0.0.1:1", {"ssl.ca.location": "ca.pem"})
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
