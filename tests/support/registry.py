"""A schema registry on a local port that answers as a test wants, with TLS and certificates made here."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
import time
import types
import urllib.parse
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

TOKEN = "/token"


class Reply(NamedTuple):
    """An answer of the registry. body: bytes are sent as they are, all else as JSON. status 0: the body without HTTP."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = types.MappingProxyType({})
    cut: int = 0
    """The answer ends so many bytes before what Content-Length says."""
    length: bool = True
    slow_s: float = 0.0
    drip_s: float = 0.0
    """Seconds between bytes, of an answer without HTTP."""


class Schemas(ThreadingHTTPServer):
    """`texts`: schema by id, or the whole answer. `subjects`: answers by subject and version.

    `refuse`: replies instead of the right ones, by path; `refuse_all`: for every path. `asked`: (method, path, Authorization).
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.texts: dict[int, Any] = {7: '"float"', 8: '"string"'}
        self.subjects: dict[tuple[str, int], dict[str, Any]] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.targets: list[str] = []
        """What was asked for, as it stood in the request."""
        self.connections = 0
        self.together: threading.Barrier | None = None
        """So many requests wait for each other before any is answered."""
        self._open: list[Any] = []
        self.refuse: dict[str, Reply] = {}
        self.refuse_all: Reply | None = None
        self.registered: dict[str, str] = {}
        """Schema by subject."""
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"
        self._tls = tls

    def reply(self, path: str, right: Reply) -> Reply:
        return self.refuse_all or self.refuse.get(path, right)

    def get_request(self) -> tuple[Any, Any]:
        """Accept; the handshake happens later, in the thread of the request."""
        connection, address = super().get_request()
        self.connections += 1
        self._open.append(connection)
        connection.settimeout(30)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def hang_up(self) -> None:
        """Close the connections that clients keep open, and wait until that is done."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or whose TLS handshake fails, are part of the tests: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: Schemas

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        if parts[:2] == ["schemas", "ids"] and int(parts[2]) in self.server.texts:
            text = self.server.texts[int(parts[2])]
            self._answer(path, Reply(200, text if isinstance(text, dict) else {"schema": text}))
        elif parts[:1] == ["subjects"] and (parts[1], int(parts[3])) in self.server.subjects:
            self._answer(path, Reply(200, self.server.subjects[parts[1], int(parts[3])]))
        elif parts[:1] == ["subjects"] and int(parts[3]) < 0:
            self._answer(path, Reply(422, {"error_code": 42202, "message": "The specified version is not valid"}))
        elif parts[:1] == ["subjects"]:
            self._answer(path, Reply(404, {"error_code": 40401, "message": f"Subject '{parts[1]}' not found."}))
        else:
            self._answer(path, Reply(404, {"error_code": 40403, "message": "Schema not found"}))

    def do_POST(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == TOKEN:
            self._answer(path, Reply(200, {"access_token": "from-issuer", "token_type": "bearer", "expires_in": 3600}))
            return
        self.server.registered[urllib.parse.unquote(path.split("/")[2])] = json.loads(body)["schema"]
        self._answer(path, Reply(200, {"id": 99}))

    def _answer(self, path: str, reply: Reply) -> None:
        self.server.asked.append((self.command, path, self.headers["Authorization"]))
        self.server.targets.append(self.path)
        if self.server.together:
            self.server.together.wait(60)
        reply = self.server.reply(path, reply)
        time.sleep(reply.slow_s)
        self.close_connection |= not reply.length or reply.cut > 0 or reply.status == 0
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.status == 0:
            for byte in data if reply.drip_s else ():
                time.sleep(reply.drip_s)
                self.wfile.write(bytes([byte]))
            self.wfile.write(b"" if reply.drip_s else data)
            return
        self.send_response(reply.status)
        if reply.length:
            self.send_header("Content-Length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) - reply.cut])

    def log_message(self, *_: object) -> None:
        pass


T = TypeVar("T", bound=Schemas)


class KeepingHandler(_Handler):
    """Connections stay open, as those of registries do."""

    protocol_version = "HTTP/1.1"


@contextlib.contextmanager
def registry(kind: type[T] = Schemas, tls: ssl.SSLContext | None = None) -> Iterator[T]:  # type: ignore[assignment]
    with kind(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Certificates:
    """A CA of its own, and the certificates that it signs, as files in a folder. `ca`: the file of its certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key, self._made = _key(), 0
        self._name = _name("a CA of a test")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(_pem(self._sign(self._name, self._key, ca=True)))

    def make(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate and of its key, for a name or an address."""
        key = _key()
        from cryptography.hazmat.primitives import serialization as form

        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(_pem(self._sign(_name(name), key, address=name)))
        secret.write_bytes(
            key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()),
        )
        return certificate, secret

    def encrypted(self, name: str, password: bytes) -> Path:
        """The file of the key of a certificate that was made, encrypted."""
        from cryptography.hazmat.primitives import serialization as form

        key = form.load_pem_private_key((self._folder / f"{name}.key").read_bytes(), None)
        path = self._folder / f"{name}.encrypted.key"
        path.write_bytes(
            key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(password))
        )
        return path

    def server(self, name: str = "127.0.0.1", *, wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.make(name))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def _sign(self, name: Any, key: Any, *, ca: bool = False, address: str = "") -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False).add_extension(authority, critical=False)
        if address:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(address)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(address: str) -> Any:
    from cryptography import x509

    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(address))
    return x509.DNSName(address)


def _name(text: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    data: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return data
