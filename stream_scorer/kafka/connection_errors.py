"""Why no broker is connected: in librdkafka's words, with the setting to change."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from stream_scorer.kafka.client_log import librdkafka_log
from stream_scorer.kafka.diagnosis import explain
from stream_scorer.secret_text import hide


class Reason(NamedTuple):
    """Why no broker is connected.

    problem: librdkafka's text. advice: what to change. permanent: waiting does not help, a person has to change it.
    """

    problem: str
    advice: str
    permanent: bool

    def __str__(self) -> str:
        return f"{self.problem}. {self.advice}"


_OTHER = "or the port of another listener in --bootstrap-servers"
_KNOWN = (  # (pattern, advice, permanent): the first pattern that matches counts, and of several texts the earliest pattern
    (
        r"OAUTHBEARER token",
        "Correct --kafka sasl.oauthbearer.token.endpoint.url, or sasl.oauthbearer.client.id and "
        "sasl.oauthbearer.client.secret, or the way to that server (https.ca.location=FILE has its CA).",
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
    (
        r"SSL connection closed by peer",
        "Does this listener want SASL, too? Give --kafka security.protocol=sasl_ssl and what belongs to it; or correct the ssl "
        "settings.",
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


class ConnectionErrors(logging.Handler):
    """Collects why a client of librdkafka has no connection to a broker. librdkafka tells some of it in its log only.

    `add` is made for the property error_cb, `log` for the client's logger.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reason: Reason | None = None
        """The gravest since the last connection; None if nothing was said."""
        self._rank = len(_KNOWN)
        self._asked: Reason | None = None
        self.log = logging.Logger("librdkafka")
        self.log.addHandler(self)

    def add(self, error: KafkaError) -> bool:
        """Returns whether `reason` is now another than before."""
        return error.code() != KafkaError._ALL_BROKERS_DOWN and self._add_text(error.str())

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(("FAIL", "ERROR")):
            self._add_text(text.partition("]: ")[2])
        if librdkafka_log.isEnabledFor(record.levelno):
            librdkafka_log.handle(record)

    def clear(self) -> None:
        """A broker is connected."""
        self.reason, self._rank = None, len(_KNOWN)

    def ask(self, properties: Mapping[str, Any]) -> None:
        """Find out more of the reason by a connection of our own, once for each. Blocks for about 10 s at most."""
        if self.reason is None or self.reason is self._asked:
            return
        problem = self.reason.problem
        if advice := explain(problem, str(properties["bootstrap.servers"]), properties):
            # What librdkafka guesses would stand beside what is known.
            problem = problem.partition(": broker certificate could not be verified")[0]
            self.reason = Reason(problem, advice, permanent=True)
        self._asked = self.reason

    @property
    def permanent(self) -> bool:
        """Whether waiting does not help."""
        return self.reason is not None and self.reason.permanent

    def text(self) -> str:
        """The reason with its advice, also where librdkafka has said nothing."""
        return str(self.reason) if self.reason else f"nothing is heard. {_NOTHING}"

    def _add_text(self, text: str) -> bool:
        # `SSL` in the name of a broker says nothing of what went wrong.
        problem = re.sub(r" \(after \d+ms in state \w+\)|^(\w+://)?(?=\S+/\w+: )", "", text)
        problem = re.sub(r"^(\S+)/\w+: ", r"\1: ", problem).rstrip(" .:?")
        problem = hide(problem)
        for rank, (pattern, advice, permanent) in enumerate(_KNOWN):
            if rank < self._rank and re.search(pattern, problem):
                self.reason, self._rank = Reason(problem, advice, permanent), rank
                return True
        return False
