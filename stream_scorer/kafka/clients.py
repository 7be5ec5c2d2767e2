"""Opens clients of librdkafka, here and nowhere else, each with our log."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.client_log import librdkafka_log
from stream_scorer.kafka.connection_errors import ConnectionErrors
from stream_scorer.secret_text import without

Properties = dict[str, Any]
_ADVICE = (  # what librdkafka, or OpenSSL, says: what to change
    (
        r"ssl\.key.*PEM lib|keystore.*(PKCS12|mac verify)",
        "Is the key encrypted? Give its password, or the right one, by --kafka ssl.key.password=@FILE (ssl.keystore.password "
        "for a keystore).",
    ),
    (r"ssl\.key.*BIO lib|ssl\.c.*BIO lib", "There is no such file, or it cannot be read."),
    (r"key values mismatch", "The key does not belong to the certificate in --kafka ssl.certificate.location."),
    (
        r"no certificate or crl found|no start line",
        "The file has no certificate in PEM form (-----BEGIN CERTIFICATE-----).",
    ),
    (
        r"SASL mechanism GSSAPI",
        "Give --kafka sasl.mechanisms=SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER: without it librdkafka takes GSSAPI, "
        "which is not built into it here.",
    ),
)
T = TypeVar("T")


def open_client(
    client: Callable[..., T],
    properties: Properties,
    log: logging.Logger = librdkafka_log,
    connection_errors: ConnectionErrors | None = None,
) -> T:
    """A Consumer, a Producer or an AdminClient. Does not wait for a broker.

    Args:
        connection_errors: receives why no broker is connected, whenever the client is polled.
    Raises:
        SettingsError: librdkafka refuses a property, or properties together.
    """
    if connection_errors is not None:
        properties, log = {**properties, "error_cb": connection_errors.add}, connection_errors.log
    try:
        return client(properties, logger=log)
    except (KafkaException, TypeError, ValueError) as error:
        text = without(error.args[0].str() if isinstance(error, KafkaException) else str(error), properties.values())
        # Not `from error`: its text may have a secret in it, and a traceback would show it.
        advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, text)), "")
        raise SettingsError(f"--kafka: {text}. {advice or 'Correct what was given by --kafka KEY=VALUE.'}") from None


def open_outside_group(
    properties: Properties,
    name: str,
    *,
    committed: bool = True,
    connection_errors: ConnectionErrors | None = None,
) -> Consumer:
    """A consumer that does not join its group, and can still ask for the group's committed offsets.

    Args:
        properties: of a consumer of the group, as `kafka_config.consumer` returns them.
        name: of the client, in the broker's log.
        committed: read_committed, so that partitions end at the last stable offset; False: read_uncommitted.
        connection_errors: as in `open_client`.
    """
    own = {
        "client.id": f"stream-scorer-{name}",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    return open_client(Consumer, {**properties, **own}, connection_errors=connection_errors)


class ConsumerPair:
    """Two consumers outside the group, one for each isolation level, which decides what a broker answers.

    Each is opened at its first use, also after a `close`. Close the pair after an error: a consumer that has seen a broker
    restart keeps old leader epochs and may never get an answer.
    """

    def __init__(self, properties: Properties, name: str) -> None:
        self._properties, self._name = properties, name
        self._opened: dict[bool, Consumer] = {}

    @property
    def committed(self) -> Consumer:
        """Partitions end at the last stable offset. No answer for a position in an open transaction."""
        return self._of(True)

    @property
    def uncommitted(self) -> Consumer:
        """Partitions end at the high watermark. Positions are given even while a transaction may change them."""
        return self._of(False)

    def _of(self, committed: bool) -> Consumer:
        if committed not in self._opened:
            self._opened[committed] = open_outside_group(self._properties, self._name, committed=committed)
        return self._opened[committed]

    def close(self) -> None:
        while self._opened:
            with contextlib.suppress(KafkaException):
                self._opened.popitem()[1].close()
