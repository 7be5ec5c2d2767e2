"""What a schema registry's answer means to us, or that none came. One place for every client of a registry.

UnknownSchema   one record is at fault: the registry says that it has no such schema
Unanswered      waiting may help: nobody answered, the answer was cut off, 429, 408, 5xx
BrokerError     only a person can mend it: everything else
"""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from stream_scorer.errors import BrokerError, Unanswered

TIMEOUT_S = 10.0
"""Of each call."""
MAX_TEXT = 300
"""Characters kept of what a registry says."""
NO_SUCH_SCHEMA = 40403
"""The registry's own code. A 404 without it is of somebody else: a wrong path, a proxy, a gateway with nothing behind."""
MAX_WAIT_S = 60.0
"""No Retry-After is honoured for longer."""
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ssl.SSLWantReadError)
_HINTS = {
    301: "Give the URL it points to as --schema-registry.",
    401: "It wants other credentials: in the URL, or by --registry (basic.auth.user.info, bearer.auth.token, ...).",
    403: "It knows the user, who may not do this: allow Read, and Write for the subjects of outputs.",
    404: "Is there a path missing in --schema-registry, or something else than a registry at that address?",
    407: "A proxy on the way wants credentials: give http_proxy, or --registry proxy=URL.",
    409: "409 means an incompatible schema under that subject: alter the subject's compatibility, or give "
    "--output-schema-id.",
}


class UnknownSchema(LookupError):
    """The registry has no Avro schema of this id."""


class Busy(Unanswered):
    """It asks to be left alone for `after_s` seconds."""

    def __init__(self, text: str, after_s: float) -> None:
        super().__init__(text)
        self.after_s = after_s


class Reference(NamedTuple):
    """A schema that another one uses."""

    subject: str
    version: int


class Definition(NamedTuple):
    """A schema as a registry has it. kind: AVRO, JSON or PROTOBUF."""

    text: str
    kind: str = "AVRO"
    references: tuple[Reference, ...] = ()


def without_credentials(url: str) -> str:
    """The URL of a registry as it may be shown, and as paths are added to it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


class Calls(Protocol):
    """The three calls to a schema registry that scoring needs. Each blocks for some 10 s at most.

    Each raises BadAnswer, NoRegistry, or what its library has for a connection that failed.
    """

    where: str
    """The registry's URL, without credentials."""

    def by_id(self, number: int) -> Definition: ...

    def by_version(self, subject: str, version: int) -> Definition: ...

    def register(self, subject: str, schema: str) -> int: ...


class BadAnswer(Exception):
    """Another status than 2xx. code: the registry's own, if the answer has one. after_s: Retry-After."""

    def __init__(self, status: int, code: object, text: str, after_s: float | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.after_s = status, code, after_s


class NoRegistry(Exception):
    """The status was good, but the answer is none of a schema registry."""


def unread(body: str) -> Exception:
    """What the body of a good answer is that cannot be read as JSON: cut off, or somebody else's."""
    if body.lstrip().startswith("{"):
        return ConnectionError("the answer was cut off")
    return NoRegistry(f"answered with no JSON but {' '.join(body[:100].split())!r}")


def classify(where: str, what: str, error: Exception) -> UnknownSchema | Unanswered | BrokerError:
    """What `what` failed by at the registry `where`."""
    at = f"schema registry {where}: {what}"
    if isinstance(error, BadAnswer):
        return _refused(at, error)
    if isinstance(error, NoRegistry):
        return BrokerError(
            f"{at}: {error}. Something else answers there, or in between (a proxy, a login page). Correct --schema-registry."
        )
    for one in chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return BrokerError(
                f"{at}: its certificate is not trusted ({one.verify_message}). Give the certificates to trust by "
                "--registry ssl.ca.location=FILE, and the name in the certificate by --schema-registry."
            )
        if isinstance(one, ssl.SSLError) and not isinstance(one, _PASSING):
            return BrokerError(
                f"{at}: no TLS connection ({one}). Does it speak http only, or want a client's certificate (--registry "
                "ssl.certificate.location=FILE, ssl.key.location=FILE)?"
            )
    return Unanswered(f"{at}: no answer ({error or type(error).__name__}). Check --schema-registry.")


def _refused(at: str, error: BadAnswer) -> UnknownSchema | Unanswered | BrokerError:
    text = f"{at} answered {error.status}: {error}"
    if error.status == 404 and error.code == NO_SUCH_SCHEMA:
        return UnknownSchema(str(error))
    if error.status in (408, 429) or error.status >= 500:
        return Unanswered(text) if error.after_s is None else Busy(text, min(max(error.after_s, 0.0), MAX_WAIT_S))
    hint = _HINTS.get(301 if error.status < 400 else error.status, "")
    return BrokerError(f"{text}. {hint}".rstrip())


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        # Some have it as their argument. Not by `__context__`: whoever calls us may be handling an earlier error.
        inner = found.args[0] if found.args else None
        found = found.__cause__ or (inner if isinstance(inner, BaseException) else None)
