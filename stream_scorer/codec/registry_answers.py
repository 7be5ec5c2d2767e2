"""What an answer of a schema registry means, or that none came; used by every client of a registry.

UnknownSchema   the cause is one record: the registry says that it has no such schema
Unanswered      waiting may help: there was no answer, or part of one, or status 408, 429 or 5xx
BrokerError     a person has to change something: everything else
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from stream_scorer.errors import BrokerError, Unanswered

TIMEOUT_S = 10.0
"""Of each request."""
MAX_TEXT = 300
"""Characters kept of a registry's answer."""
NO_SUCH_SCHEMA = 40403
"""A registry's error code for an unknown schema. A 404 without it has another cause: a wrong path, a proxy, a gateway."""
NO_VERSION = 42202
"""Its code for a number that no version can be."""
MAX_WAIT_S = 60.0
"""Longest Retry-After that is obeyed."""
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ssl.SSLWantReadError)
_HINTS = {
    301: "Give the URL it points to as --schema-registry. It was not followed: credentials are for this address alone.",
    400: "400 means that it cannot take the request: is --schema-registry the whole URL of a registry, with its path, and "
    "https where it wants that?",
    401: "401 means that it wants other credentials: --registry basic.auth.user.info=@FILE (USER:PASSWORD), "
    "bearer.auth.token=@FILE, or a certificate.",
    403: "403 means that this user may not do it: allow {right}",
    404: "Is there a path missing in --schema-registry, or something else than a registry at that address?",
    407: "A proxy on the way wants credentials: give http_proxy, or --registry proxy=URL.",
    409: "409 means an incompatible schema under that subject: alter the subject's compatibility, or give "
    "--output-schema-id.",
    422: "422 means that it takes no such schema or subject: correct the model's output schema, or give --output-schema-id.",
}
_RIGHTS = {
    "GET": "Read on the subjects that have this schema.",
    "POST": "Write on this subject, or register the schema yourself and give --output-schema-id.",
}


class UnknownSchema(LookupError):
    """The registry has no Avro schema of this id."""


class Busy(Unanswered):
    """The registry wants no request for `after_s` seconds."""

    def __init__(self, text: str, after_s: float) -> None:
        super().__init__(text)
        self.after_s = after_s


class Reference(NamedTuple):
    """A schema that another one refers to."""

    subject: str
    version: int


class Definition(NamedTuple):
    """A schema in a registry. kind: AVRO, JSON or PROTOBUF."""

    text: str
    kind: str = "AVRO"
    references: tuple[Reference, ...] = ()


def one_line(text: object) -> str:
    """The beginning of a text from outside, as one line without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)[:MAX_TEXT]).split())


class Way(Protocol):
    """How a registry is reached, for texts: its URL without credentials, and in words which credentials were sent."""

    @property
    def url(self) -> str: ...

    @property
    def sent(self) -> str: ...

    def hide(self, text: str) -> str:
        """The text without our secrets."""


class Calls(Protocol):
    """The three requests to a schema registry that scoring needs. Each blocks for about `TIMEOUT_S` at most.

    Each raises BadAnswer, NoRegistry, or its library's error for a failed connection. Safe from several threads at once.
    """

    @property
    def access(self) -> Way: ...

    def by_id(self, number: int) -> Definition: ...

    def by_version(self, subject: str, version: int) -> Definition: ...

    def register(self, subject: str, schema: str) -> int: ...

    def close(self) -> None: ...


class BadAnswer(Exception):
    """The status is not 2xx. code: the registry's error code, if the answer has one. after_s: seconds of Retry-After."""

    def __init__(self, status: int, code: object, text: str, after_s: float | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.after_s = status, code, after_s


class NoRegistry(Exception):
    """The status is 2xx, but the answer is not that of a schema registry."""


def unread(body: str) -> Exception:
    """The error for a body that cannot be read as JSON: it is incomplete, or not from a registry."""
    if body.lstrip().startswith("{"):
        return ConnectionError("the answer was cut off")
    return NoRegistry(f"the answer is not JSON but {body[:100]!r}")
    return NoRegistry(f"the answer is not JSON but {' '.join(body[:100].split())!r}")


def classify(way: Way, request: str, error: Exception) -> UnknownSchema | Unanswered | BrokerError:
    """Our error for the failure of a request to a registry. Its text has no secret, also if an answer repeats ours."""
    at, said = f"schema registry {way.url}: {request}", one_line(way.hide(str(error)))
    if isinstance(error, BadAnswer):
        return _refused(at, request, said, way.sent, error)
    if isinstance(error, NoRegistry):
        return BrokerError(
            f"{at}: {said}. Something else answers there, or in between (a proxy, a login page). Correct --schema-registry."
        )
    if isinstance(error, UnicodeError):  # before any byte was sent
        return BrokerError(f"{at}: it cannot be asked ({said}). Correct --schema-registry.")
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BrokerError(
                f"{at}: its certificate is not trusted ({cause.verify_message}). Give the certificates to trust by "
                "--registry ssl.ca.location=FILE, and the name in the certificate by --schema-registry."
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _PASSING):
            return BrokerError(
                f"{at}: no TLS connection ({cause}). Does it speak http only, or want a client's certificate (--registry "
                "ssl.certificate.location=FILE, ssl.key.location=FILE)?"
            )
    return Unanswered(f"{at}: no answer ({said or type(error).__name__}). Check --schema-registry.")


def _refused(at: str, request: str, said: str, sent: str, error: BadAnswer) -> UnknownSchema | Unanswered | BrokerError:
    text = f"{at} answered {error.status}: {said}"
    if error.status == 404 and error.code == NO_SUCH_SCHEMA:
        return UnknownSchema(said)
    if error.status == 422 and error.code == NO_VERSION:
        return UnknownSchema(f"it refers to a schema that cannot be ({request}: {said})")
    if error.status in (408, 429) or error.status >= 500:
        return Unanswered(text) if error.after_s is None else Busy(text, min(max(error.after_s, 0.0), MAX_WAIT_S))
    hint = _HINTS.get(301 if error.status < 400 else error.status, "").format(right=_RIGHTS[request.partition(" ")[0]])
    return BrokerError(f"{text.rstrip('.')} ({sent}). {hint}".rstrip())


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, then the errors that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        # Some libraries pass the cause as an argument. `__context__` does not help: a caller may be handling another error.
        inner = cause.args[0] if cause.args else None
        cause = cause.__cause__ or (inner if isinstance(inner, BaseException) else None)
