"""What exactly is wrong with TLS or SASL at the start, found out by a connection of our own.

librdkafka says that a certificate could not be verified, but not why, and of a listener that wants TLS or SASL only that it
closed the connection. Here Python's TLS asks the same address again, without user, password or a certificate of ours.
Nothing here raises: None stands for "not found out".
"""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

PATIENCE_S = 5.0
"""How long one connection may take, with all that is asked through it."""
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)  # OpenSSL's codes
_VALIDITY = re.compile(
    rb"\x30.(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(?P<short>\d{12}Z)|\x18\x0f(?P<long>\d{14}Z))", re.DOTALL
)
_METADATA, _VERSIONS = 3, 18


class Listener(Enum):
    """What a listener does with requests of one who has not logged in."""

    OPEN = "answers them"
    WANTS_SASL = "tells its versions, and closes at the next request"
    WANTS_CERTIFICATE = "wants a certificate of the client"


def explain(problem: str, servers: str, properties: Mapping[str, object]) -> str | None:
    """What to change, for the gravest problem that librdkafka has told. Blocks for about 10 s at most.

    Args:
        servers: of --bootstrap-servers; the one that `problem` begins with is asked, else the first.
        properties: of the client.
    """
    given = {key: str(value) for key, value in properties.items()}
    address = _address(problem, servers)
    if re.search(r"invalid_token|SASL authentication error", problem) and _mechanism(given) == "OAUTHBEARER":
        return _TOKEN
    if "alert" in problem or "did not return a certificate" in problem:
        return _own_certificate(given) if re.search("certificate|unknown ca", problem) else None
    if address is None:
        return None
    if "certificate verify failed" in problem:
        return _broker_certificate(address, given)
    if re.search("closed by peer|Disconnected", problem) and "PLAINTEXT" not in problem:
        return _listener(address, with_tls=_protocol(given).endswith("ssl"))
    return None


_TOKEN = (
    "The broker does not take our token: its signature, issuer, audience or end does not fit what the broker expects. "
    "Correct --kafka sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id and sasl.oauthbearer.scope, or what "
    "that server gives; enable.sasl.oauthbearer.unsecure.jwt is for test brokers only."
)


def _protocol(given: Mapping[str, str]) -> str:
    return given.get("security.protocol", "plaintext").lower()


def _mechanism(given: Mapping[str, str]) -> str:
    return given.get("sasl.mechanisms", given.get("sasl.mechanism", "")).upper()


def _address(problem: str, servers: str) -> tuple[str, int] | None:
    """Host and port."""
    texts = [server.strip().rpartition("/")[2] for server in servers.split(",")]
    text = next((text for text in texts if problem.startswith(text)), texts[0])
    host, _, port = text.rpartition(":") if re.search(r":\d+$", text) else (text, "", "9092")
    return (host.strip("[]"), int(port)) if host and int(port) < 1 << 16 else None


def _broker_certificate(address: tuple[str, int], given: Mapping[str, str]) -> str | None:
    ca = given.get("ssl.ca.location", "")
    try:
        context = _context(given)
        with _connected(address, context):
            return None
    except ssl.SSLCertVerificationError as error:
        code, text = error.verify_code, error.verify_message
    except (OSError, ValueError):
        return None
    if code == _EXPIRED:
        return "The certificate of the broker, or of its CA, has expired: renew it at the broker."
    if code == _NOT_YET:
        return "The certificate of the broker is not valid yet. Is the clock of this machine right?"
    if code in _OTHER_NAME:
        return (
            f"The broker's certificate is for another host ({_names(address, context) or text}): give in "
            "--bootstrap-servers a name that their certificate has, or have the broker's made for this one."
        )
    known = f"CA in {ca or 'ssl.ca.pem'}" if _has_ca(given) else "CA that this machine knows"
    return (
        f"The broker's certificate is signed by no {known} ({text}). Give the CA of the brokers by --kafka "
        "ssl.ca.location=FILE."
    )


def _has_ca(given: Mapping[str, str]) -> bool:
    return bool(given.get("ssl.ca.location") or given.get("ssl.ca.pem"))


def _context(given: Mapping[str, str]) -> ssl.SSLContext:
    """TLS that trusts what the client trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = given.get("ssl.endpoint.identification.algorithm", "https").lower() != "none"
    ca = given.get("ssl.ca.location", "")
    if _has_ca(given):
        is_folder = bool(ca) and Path(ca).is_dir()
        context.load_verify_locations(
            cafile=None if is_folder else ca or None,
            capath=ca if is_folder else None,
            cadata=given.get("ssl.ca.pem") or None,
        )
    else:
        context.load_default_certs()
    return context


def _names(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """The names that the broker's certificate has."""
    context.check_hostname = False
    with contextlib.suppress(OSError, ValueError), _connected(address, context) as connection:
        certificate: Mapping[str, object] = getattr(connection, "getpeercert", dict)() or {}
        names = certificate.get("subjectAltName")
        return ", ".join(str(name) for _, name in names) if isinstance(names, tuple) else ""
    return ""


def _own_certificate(given: Mapping[str, str]) -> str:
    begin = "The broker does not take our certificate"
    file = given.get("ssl.certificate.location", "")
    if not any(given.get(f"ssl.{name}") for name in ("certificate.location", "certificate.pem", "keystore.location")):
        return f"{begin}: it wants one, and none is given. Give --kafka ssl.certificate.location=FILE and ssl.key.location=FILE."
    if file and (end := _end_of(Path(file))) and end < datetime.datetime.now(datetime.UTC):
        return (
            f"{begin}: {file} has expired on {end:%Y-%m-%d}. Give a new one by --kafka ssl.certificate.location=FILE."
        )
    return (
        f"{begin}{f' {file}' if file else ''}: it is signed by no CA that the broker trusts, or withdrawn. Give one that it "
        "trusts by --kafka ssl.certificate.location=FILE and ssl.key.location=FILE."
    )


def _end_of(file: Path) -> datetime.datetime | None:
    """Until when the first certificate of a PEM file is valid."""
    try:
        text = file.read_text(encoding="latin-1")
        first = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
        found = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(first[0])) if first else None
        if not found:
            return None
        short = (found["short"] or b"").decode()
        # Two digits of a year are of 1950 to 2049.
        full = f"{'19' if short >= '5' else '20'}{short}" if short else found["long"].decode()
        return datetime.datetime.strptime(full, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC)
    except (OSError, ValueError):
        return None


def _listener(address: tuple[str, int], *, with_tls: bool) -> str | None:
    """What a listener that closes connections wants."""
    over_tls = _asked(address, with_tls=True)
    if over_tls is not None and with_tls:
        return _SASL.format("sasl_ssl") if over_tls is Listener.WANTS_SASL else None
    if over_tls is not None:
        more = {
            Listener.OPEN: "security.protocol=ssl",
            Listener.WANTS_SASL: "security.protocol=sasl_ssl, with sasl.mechanisms, sasl.username and sasl.password",
            Listener.WANTS_CERTIFICATE: "security.protocol=ssl, ssl.certificate.location=FILE and ssl.key.location=FILE",
        }[over_tls]
        return f"Does this listener want TLS or SASL? It speaks TLS: give --kafka {more}, and ssl.ca.location=FILE."
    if not with_tls and _asked(address, with_tls=False) is Listener.WANTS_SASL:
        return _SASL.format("sasl_plaintext")
    return None


_SASL = (
    "Does this listener want TLS or SASL? It wants SASL: give --kafka security.protocol={}, sasl.mechanisms, sasl.username "
    "and sasl.password."
)


def _asked(address: tuple[str, int], *, with_tls: bool) -> Listener | None:
    """What a listener does; None: it does not speak TLS (or not only TLS), or not Kafka's protocol."""
    context = None
    if with_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(address, context) as connection:
            return _requested(connection)
    except ssl.SSLError as error:  # a listener without TLS closes, or answers what is no TLS
        return Listener.WANTS_CERTIFICATE if "certificate" in str(error).lower() else None
    except OSError:
        return None


def _requested(connection: socket.socket) -> Listener | None:
    """Send two requests and see what comes back. Raises OSError."""
    if not _answered(connection, struct.pack(">hhih", _VERSIONS, 0, 1, -1)):
        return None
    try:
        answered = _answered(connection, struct.pack(">hhihi", _METADATA, 1, 2, -1, 0))
    except ConnectionError:
        answered = False
    return Listener.OPEN if answered else Listener.WANTS_SASL


def _answered(connection: socket.socket, request: bytes) -> bool:
    connection.sendall(struct.pack(">i", len(request)) + request)
    size = connection.recv(4)
    left = struct.unpack(">i", size)[0] if len(size) == 4 else 0
    deadline = time.monotonic() + PATIENCE_S
    while left > 0 and time.monotonic() < deadline:
        more = connection.recv(min(left, 1 << 16))
        left -= len(more)
        if not more:
            return False
    return len(size) == 4


@contextlib.contextmanager
def _connected(address: tuple[str, int], context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A connection, over TLS if there is a context. Raises OSError."""
    with socket.create_connection(address, PATIENCE_S) as connection:
        if context is None:
            yield connection
            return
        with context.wrap_socket(connection, server_hostname=address[0]) as wrapped:
            yield wrapped
