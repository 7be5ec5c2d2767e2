"""Settings -> librdkafka properties. `clients` and `reader` add those of clients outside the group.

What the user gives by --kafka KEY=VALUE comes last and wins. The few properties that the guarantees depend on are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.client_log import SILENT
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.parsing.spelling import did_you_mean
from stream_scorer.secret_text import is_secret, without

TRANSACTION_TIMEOUT_MS = 15_000
OUR_IDS = "stream-scorer."
"""Every service's transactional id begins with it."""
GUARDED = {
    "enable.auto.commit": "positions are committed with the scores they belong to",
    "enable.auto.offset.store": "positions are committed with the scores they belong to",
    "isolation.level": "aborted input must never be scored",
    "auto.offset.reset": "--start and --on-gap say where to begin",
    "enable.idempotence": "a retried send must not be seen twice",
    "transactional.id": "give --instance instead",
    "group.id": "give --group instead",
    "bootstrap.servers": "give --bootstrap-servers instead",
    "metadata.broker.list": "give --bootstrap-servers instead",
}
_CONSUMER_ONLY = ("fetch.", "queued.", "session.", "heartbeat.", "max.poll.", "auto.offset.", "group.", "partition.")
_PRODUCER_ONLY = (
    "linger.",
    "batch.",
    "queue.buffering.",
    "acks",
    "compression.",
    "message.",
    "delivery.",
    "transaction.",
)


def stamp(timestamp: int | None) -> int:
    """A record's timestamp as `produce` takes it, in ms: 0 is the time of sending, so the first ms of 1970 becomes 1.

    None: the time of sending.
    """
    return timestamp or (0 if timestamp is None else 1)


def check_extra(extra: Mapping[str, str], *, transactional: bool = False) -> None:
    """Checks --kafka. Opens no socket. Raises SettingsError: a property of GUARDED, or one that librdkafka refuses.

    `transactional`: a transactional producer is to be opened, which refuses more.
    """
    for key, reason in GUARDED.items():
        if key in extra:
            raise SettingsError(f"--kafka {key}: not yours to set: {reason}.")
    for key, value in extra.items():
        error = _refusal(Producer, key, value) and _refusal(Consumer, key, value)
        if error:
            raise SettingsError(_unknown(key) if _UNKNOWN in error else f"--kafka {key}: {without(error, [value])}")
    _check_tokens(extra)
    # Some are refused only together (SASL, files of SSL, group.protocol). Clients without brokers do nothing but check.
    open_client(AdminClient, common("", extra), SILENT)
    open_client(Consumer, consumer("", "check", extra), SILENT).close()
    open_client(Producer, transactional_producer("", "check", extra) if transactional else producer("", extra), SILENT)


def _check_tokens(extra: Mapping[str, str]) -> None:
    """A client without a token does not connect, and logs nothing."""
    mechanism = extra.get("sasl.mechanisms", extra.get("sasl.mechanism", "")).upper()
    own = extra.get("enable.sasl.oauthbearer.unsecure.jwt", "").lower() == "true"
    if mechanism == "OAUTHBEARER" and extra.get("sasl.oauthbearer.method", "").lower() != "oidc" and not own:
        raise SettingsError(
            "--kafka sasl.mechanisms=OAUTHBEARER: no source of tokens is set. Give --kafka sasl.oauthbearer.method=oidc, and "
            "sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret."
        )


KNOWN_PROPERTIES = (
    "security.protocol", "sasl.mechanisms", "sasl.username", "sasl.password", "ssl.ca.location",
    "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "sasl.oauthbearer.method",
    "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret",
    "client.id", "client.rack", "max.poll.interval.ms", "session.timeout.ms", "heartbeat.interval.ms", "group.protocol",
    "group.instance.id", "partition.assignment.strategy", "fetch.min.bytes",
    "fetch.wait.max.ms", "linger.ms", "compression.type", "batch.size", "message.max.bytes",
    "transaction.timeout.ms", "retry.backoff.ms", "socket.timeout.ms", "debug",
)  # fmt: skip

_UNKNOWN = "No such configuration property"
_PROPERTY = re.compile(r"[a-z]+(\.[a-z]+)+")


def _unknown(key: str) -> str:
    """The error text for a name that librdkafka does not have. What is behind a comma in a password may be such a "name"."""
    near = did_you_mean(key, names := [*GUARDED, *KNOWN_PROPERTIES])
    begun = any(is_secret(name) and key.startswith(name) for name in names)
    families = {name.partition(".")[0] for name in names}
    if not begun and (near or (_PROPERTY.fullmatch(key) and key.partition(".")[0] in families)):
        return f'--kafka {key}: {_UNKNOWN}: "{key}"{near}'
    return (
        f"--kafka: {_UNKNOWN}. Its name is not shown, as it may be a part of a password: is there a comma in one, in a "
        "variable or a text (there it is written \\,), or is the = missing behind a name?"
    )


def _refusal(client: type, key: str, value: str) -> str | None:
    """Why librdkafka refuses one property, in its words; None if it takes it."""
    base: Properties = {"group.id": "check"} if client is Consumer else {}
    try:
        client({**base, key: value}, logger=SILENT)
    except KafkaException as error:
        text: str = error.args[0].str()
        # Properties that need others are checked together with them.
        return text if _UNKNOWN in text or "Invalid value" in text else None
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def _split(extra: Mapping[str, str], not_mine: tuple[str, ...]) -> Properties:
    return {key: value for key, value in extra.items() if not key.startswith(not_mine)}


def common(bootstrap_servers: str, extra: Mapping[str, str]) -> Properties:
    """The properties of every client. An AdminClient takes only these."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "stream-scorer",
        **_split(extra, _CONSUMER_ONLY + _PRODUCER_ONLY),
    }


def consumer(bootstrap_servers: str, group: str, extra: Mapping[str, str]) -> Properties:
    """Of a consumer of a group."""
    given = _split(extra, _PRODUCER_ONLY)
    properties: Properties = {
        **common(bootstrap_servers, {}),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # Default 1 s: so long the fetcher sleeps after its queue was full, and the loop may have no records meanwhile.
        "fetch.queue.backoff.ms": 20,
        # Partitions that are added to the input are noticed within this time. The request is small: it names only its topics.
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    if given.get("group.protocol", "classic").lower() == "classic":
        properties["partition.assignment.strategy"] = "cooperative-sticky"
    return properties | given


def producer(bootstrap_servers: str, extra: Mapping[str, str]) -> Properties:
    """Of an idempotent producer."""
    return {
        **common(bootstrap_servers, {}),
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        # A default broker's limit: every input record must fit into a dead letter.
        "message.max.bytes": 1_048_588,
        "queue.buffering.max.messages": 1_000_000,
        # The choice of Java producers, so that the same keys go to the same partitions.
        "partitioner": "murmur2_random",
        **_split(extra, _CONSUMER_ONLY),
    }


def transactional_producer(bootstrap_servers: str, transactional_id: str, extra: Mapping[str, str]) -> Properties:
    """Of a producer of transactions."""
    return {
        "transactional.id": transactional_id,
        # A worker that hangs in a transaction hides later scores from readers for this time.
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        # librdkafka waits this long before it asks again while the last commit's markers are being written. Its default
        # of 100 ms would be most of the latency.
        "retry.backoff.ms": 10,
        # With all brokers unreachable, librdkafka 2.16's default drops the broker that is the transaction
        # coordinator, and with it a request in flight: the call that waits for its answer never returns.
        # A producer in doubt is replaced by a new one here, which asks the bootstrap servers anyway.
        "metadata.recovery.strategy": "none",
        # linger.ms as of the other producer: a commit flushes without waiting for it, and until then fewer and larger
        # requests cost less on both sides.
        **producer(bootstrap_servers, {}),
        **_split(extra, _CONSUMER_ONLY),
    }
