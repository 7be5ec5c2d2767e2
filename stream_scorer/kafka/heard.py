"""Why no connection to a broker comes about: in librdkafka's words, with the setting to change."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from confluent_kafka import KafkaError

from stream_scorer.kafka.clients import librdkafka_log


class Reason(NamedTuple):
    """`what` was heard, `advice` says what to change. `sure`: waiting does not help, a person has to change it."""

    what: str
    advice: str
    sure: bool

    def __str__(self) -> str:
        return f"{self.what}. {self.advice}"


_OTHER = "or the port of another listener in --bootstrap-servers"
_KNOWN = (  # the first line that fits what was heard; of several reasons the one of the first line counts
    (
        r"OAUTHBEARER token",
        "Correct --kafka sasl.oauthbearer.token.endpoint.url, or sasl.oauthbearer.client.id and "
        "sasl.oauthbearer.client.secret, or the way to that server.",
        True,
    ),
    (r"Unsupported SASL mechanism", "Give one that the broker takes: --kafka sasl.mechanisms=...", True),
    (
        r"not valid in current SASL state",
        f"This listener takes no SASL: give --kafka security.protocol=plaintext (ssl with TLS), {_OTHER}.",
        True,
    ),
    (r"SASL", "Correct --kafka sasl.username and sasl.password, or sasl.mechanisms.", True),
    (
        r"certificate verify failed",
        "Give the CA of the brokers by --kafka ssl.ca.location=FILE, and in --bootstrap-servers a name that their "
        "certificate has. Has it expired?",
        True,
    ),
    (
        r"PLAINTEXT broker listener|wrong version number",
        f"This listener speaks no TLS: give --kafka security.protocol=plaintext (sasl_plaintext with SASL), {_OTHER}.",
        True,
    ),
    (
        r"alert.*(certificate|unknown ca)|peer did not return a certificate",
        "The broker does not take our certificate: give one that it trusts, not expired, by --kafka "
        "ssl.certificate.location=FILE and ssl.key.location=FILE.",
        True,
    ),
    (r"SSL|ssl", "Correct --kafka security.protocol and the ssl settings.", True),
    (
        r"closed by peer|Disconnected",
        "Does this listener want TLS or SASL? Give --kafka security.protocol=ssl, sasl_ssl or sasl_plaintext and what "
        f"belongs to it, {_OTHER}. A proxy whose broker is away does the same.",
        False,
    ),
    (r"resolve", "Correct the host name in --bootstrap-servers, or this machine's DNS.", False),
    (r"refused|[Cc]onnect", "Start the broker, or correct --bootstrap-servers.", False),
)
_NOTHING = "Does a firewall stand between, or is it another program's port? Correct --bootstrap-servers."


class Heard(logging.Handler):
    """What a client of librdkafka's says of its connections. Some of it only its log says.

    `error` is made for error_cb, `log` for the client's logger.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reason: Reason | None = None
        self._rank = len(_KNOWN)
        self.log = logging.Logger("librdkafka")
        self.log.addHandler(self)

    def error(self, error: KafkaError) -> bool:
        """Whether there is now another reason than before."""
        return error.code() != KafkaError._ALL_BROKERS_DOWN and self._hear(error.str())

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(("FAIL", "ERROR")):
            self._hear(text.partition("]: ")[2])
        if librdkafka_log.isEnabledFor(record.levelno):
            librdkafka_log.handle(record)

    def forget(self) -> None:
        """A connection came about."""
        self.reason, self._rank = None, len(_KNOWN)

    def told(self) -> str:
        return str(self.reason) if self.reason else f"nothing is heard. {_NOTHING}"

    def _hear(self, text: str) -> bool:
        # `SSL` in the name of a broker says nothing of what went wrong.
        what = re.sub(r" \(after \d+ms in state \w+\)|^(\w+://)?(?=\S+/\w+: )", "", text)
        what = re.sub(r"^(\S+)/\w+: ", r"\1: ", what).rstrip(" .:?")
        for rank, (pattern, advice, sure) in enumerate(_KNOWN):
            if rank <= self._rank and re.search(pattern, what):
                new = rank < self._rank
                self.reason, self._rank = Reason(what, advice, sure), rank
                return new
        return False
