"""Clients without the token, against a real engine: what they send costs no memory, and nobody else waits for them."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import ssl
import time
from pathlib import Path

import pytest

from stream_scorer.modelop.server.http_protocol import MAX_UNKNOWN
from support.engine import EngineProcess
from tests.support.certificates import Authority

TOKEN = "a-token-of-ours"
HEAD = b"GET /1/job/output HTTP/1.1\r\nHost: here\r\n"
CHUNKED = HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n"
SENT = 24 << 20
GROWTH_MB = 200

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "token").write_text(TOKEN)
    with EngineProcess(folder, "--token", str(folder / "token"), token=TOKEN) as engine:
        yield engine


@pytest.fixture
def served(engine):
    """The engine. After the test it answers a client with the token, has not grown much, and has logged little."""
    before = _memory_mb(engine)
    yield engine
    engine.server.close()
    assert engine.ask("GET", "/2/engine/state").status == 200
    assert _memory_mb(engine) - before < GROWTH_MB
    assert len(engine.log()) < 20_000


def _memory_mb(engine, kind="VmHWM"):
    lines = Path(f"/proc/{engine.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(kind))


def _address(engine):
    host, _, port = engine.url.partition("//")[2].partition(":")
    return host, int(port)


def _answers(engine, *pieces, most=SENT):
    """Send the first piece, then the second one again and again: the statuses of what comes back before the end."""
    with socket.create_connection(_address(engine), 60) as client:
        sent = 0
        with contextlib.suppress(OSError):
            client.sendall(pieces[0])
            while len(pieces) > 1 and sent < most:
                client.sendall(pieces[1])
                sent += len(pieces[1])
        received = b""
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            while data := client.recv(1 << 16):
                received += data
    return _statuses(received)


def _statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


@pytest.mark.parametrize(
    ("first", "again", "status"),
    [
        pytest.param(HEAD + b"X: ", b"a" * 65536, 431, id="a header line without end"),
        pytest.param(HEAD, b"a: b\r\n" * 10_000, 431, id="headers without end"),
        pytest.param(b"GET /", b"a" * 65536, 414, id="a request line without end"),
        pytest.param(b"", b"A" * 65536, 400, id="a method without end"),
        pytest.param(b"", b"\r\n" * 32768, 414, id="blank lines"),
        pytest.param(CHUNKED + b"1;", b"a" * 65536, 401, id="a chunk extension without end"),
        pytest.param(CHUNKED + b"0\r\nX: ", b"a" * 65536, 401, id="a trailer without end"),
        pytest.param(CHUNKED + b"0\r\n", b"a: b\r\n" * 10_000, 401, id="trailers without end"),
        pytest.param(CHUNKED, b"1\r\na\r\n" * 10_000, 401, id="tiny chunks"),
        pytest.param(CHUNKED, b"10000\r\n" + b"\n" * 65536 + b"\r\n", 401, id="a body of line ends"),
        pytest.param(
            HEAD.replace(b"GET", b"PUT") + b"Content-Length: 999999999999\r\n\r\n", b"a" * 65536, 401, id="a body"
        ),
        pytest.param(b"", HEAD + b"\r\n" + HEAD + b"\r\n", 401, id="pipelined requests"),
    ],
)
def test_a_message_without_end(served, first, again, status):
    most = 30_000 if again.startswith(HEAD) else SENT
    assert set(_answers(served, first, again, most=most)) <= {status}  # or the connection ended before


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"A: " + b"a" * 30_000 + b"\r\n\r\n", 401),
        (HEAD + b"".join(b"a%d: b\r\n" % number for number in range(99)) + b"\r\n", 401),
        (HEAD + b"".join(b"a%d: b\r\n" % number for number in range(100)) + b"\r\n", 431),
        (HEAD + b"A: " + b"a" * 33_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: here\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n", 400),
        (HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nA: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 401),
        (b"GET /docs HTTP/1.1\r\nHost: here\r\n\r\n" + HEAD + b"\r\n", [200, 401]),
        (CHUNKED + b"1\r\na\r\n0\r\n\r\n" + HEAD + b"\r\n", [401, 401]),
        (CHUNKED + b"1\r\na\r\n0\r\n\r\n" + (HEAD + b"\r\n") * 50, []),
        (b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n" * 20 + HEAD + b"\r\n", [200] * 20 + [401]),
        (b"GET /metrics HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer %b\r\n\r\n" % TOKEN.encode() * 50, [200] * 50),
    ],
)
def test_one_request_and_its_limits(engine, request_, status):
    with socket.create_connection(_address(engine), 60) as client:
        client.sendall(request_)
        received = b""
        wanted = status if isinstance(status, list) else [status]
        with contextlib.suppress(ConnectionError):
            while len(_statuses(received)) < max(1, len(wanted)) and (data := client.recv(1 << 16)):
                received += data
    assert _statuses(received) == wanted


def test_a_connection_has_few_requests_before_one_is_let_in(engine):
    assert _answers(engine, (HEAD + b"\r\n") * 50) == [401] * MAX_UNKNOWN


def test_a_trailer_is_no_header(engine):
    """What comes behind the body was not there when the token was looked for."""
    trailer = f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
    assert _answers(engine, CHUNKED + b"1\r\na\r\n0\r\n" + trailer) == [401]


def _flood(address, count, first, context=None):
    """Clients that send these bytes, and read nothing."""
    clients = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(address)
        client.settimeout(0.05)
        with contextlib.suppress(OSError):  # displaced already, or the answer fills all buffers
            if context is not None:
                client = context.wrap_socket(client)
            client.sendall(first)
        clients.append(client)
    return clients


FLOODS = {
    "silent": (500, b""),
    "half a head": (450, HEAD + b"X: " + b"a" * 31_000),
    "many headers": (450, HEAD + b"".join(b"a%d: " % number + b"a" * 280 + b"\r\n" for number in range(98))),
    "answers that nobody reads": (60, b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n" * 500),
    "bodies": (450, HEAD.replace(b"GET", b"POST") + b"Content-Length: 99999999\r\n\r\n" + b"a" * 60_000),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_clients_without_the_token(served, kind):
    """More than the server takes: it is served who has the token, over a new connection each time."""
    count, first = FLOODS[kind]
    clients = []
    try:
        for _ in range(5):
            clients += _flood(_address(served), count // 5, first)
            served.server.close()
            assert served.ask("GET", "/2/engine/state").status == 200
    finally:
        for client in clients:
            client.close()


def test_handshakes_that_do_not_begin(tmp_path):
    Authority(tmp_path, "ca").sign("here")
    (tmp_path / "token").write_text(TOKEN)
    flags = ["--tls-cert", "here.pem", "--tls-key", "here.key", "--token", "token"]
    with EngineProcess(tmp_path, *flags, token=TOKEN, tls=True) as engine:
        before = _memory_mb(engine)
        address = _address(engine)
        clients = _flood(address, 450, b"") + _flood(address, 40, HEAD, ssl._create_unverified_context())
        assert engine.ask("GET", "/2/engine/state").status == 200
        assert _memory_mb(engine) - before < GROWTH_MB
        for client in clients:
            client.close()


def test_without_free_file_descriptors_clients_are_served_and_the_log_stays_short(tmp_path):
    with EngineProcess(tmp_path) as engine:
        pid = engine.process.pid
        most = len([*Path(f"/proc/{pid}/fd").iterdir()]) + 10
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        clients = _flood(_address(engine), 60, b"")
        for _ in range(3):
            engine.server.close()
            assert engine.ask("GET", "/2/engine/state").status == 200
        for client in clients:
            client.close()
        assert "Too many open files" in engine.log()
        assert len(engine.log()) < 5_000


def test_bad_requests_fill_no_log(served):
    for _ in range(300):
        _answers(served, b"\x16\x03\x01 this is TLS, or nothing\r\n\r\n")


def test_a_websocket_that_talks_is_ended(served):
    upgrade = (
        b"GET /api/1/service/connect/2/pneumo HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer %b\r\n\r\n" % TOKEN.encode()
    )
    too_large = b"\x82\xff" + (1 << 20).to_bytes(8, "big") + bytes(4)
    for frames in (b"\x89\x80\0\0\0\0" * 50_000, too_large):
        with socket.create_connection(_address(served), 60) as client:
            client.sendall(upgrade)
            head = client.recv(4096)
            assert head.startswith(b"HTTP/1.1 101")
            assert b"permessage-deflate" not in head
            with contextlib.suppress(OSError):
                client.sendall(frames)
                end = time.monotonic() + 60
                while client.recv(1 << 16) and time.monotonic() < end:
                    pass
