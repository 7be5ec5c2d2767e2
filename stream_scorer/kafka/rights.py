"""What a user needs to be allowed on a broker with ACLs, and the words and commands for it.

Each command has one list of rights. `--show-acls` prints it, a start compares it with what the broker says, and the error of
a broker that refuses a request is explained by it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stream_scorer.errors import BrokerError

READ, WRITE, CREATE, ALTER, CONFIGS = "Read", "Write", "Create", "Alter", "DescribeConfigs"
TOPIC, GROUP, TRANSACTIONAL_ID, CLUSTER = "Topic", "Group", "TransactionalId", "Cluster"
_WORDS = {TOPIC: "topic", GROUP: "group", TRANSACTIONAL_ID: "transactional id", CLUSTER: "the cluster"}
_FLAGS = {TOPIC: "--topic", GROUP: "--group", TRANSACTIONAL_ID: "--transactional-id"}
UNKNOWN_USER = "NAME"
_UNTIL_MADE = "only until the topic exists: it is created"
_FOR_WARNINGS = "without it there is a warning, and it is not checked how long the topic keeps records"


class Right(NamedTuple):
    """One operation on one resource. Read and Write contain Describe.

    prefixed: on all resources whose name begins with `name`. when: in words, if it is not always needed.
    """

    operation: str
    kind: str
    name: str
    prefixed: bool = False
    when: str = ""

    def __str__(self) -> str:
        name = f" {self.name + '*' if self.prefixed else self.name!r}" if self.kind != CLUSTER else ""
        return f"{self.operation} on {_WORDS[self.kind]}{name}"


IDEMPOTENT = Right("IdempotentWrite", CLUSTER, "kafka-cluster")


def create(topic: str, when: str = _UNTIL_MADE) -> Right:
    return Right(CREATE, TOPIC, topic, when=when)


def configs(topics: Iterable[str]) -> list[Right]:
    return [Right(CONFIGS, TOPIC, topic, when=_FOR_WARNINGS) for topic in dict.fromkeys(topics)]


def principal(properties: Mapping[str, str]) -> str:
    """The name that a broker gives to the user of these properties, unless it maps names; "" if only the broker knows it."""
    protocol = properties.get("security.protocol", "plaintext").lower()
    mechanism = properties.get("sasl.mechanisms", properties.get("sasl.mechanism", "GSSAPI")).upper()
    if protocol == "plaintext":
        return "ANONYMOUS"
    if protocol.startswith("sasl") and mechanism not in ("GSSAPI", "OAUTHBEARER"):
        return properties.get("sasl.username", properties.get("sasl.user", ""))
    return ""


def user_of(properties: Mapping[str, str]) -> str:
    """The user, in words."""
    if name := principal(properties):
        return f"user {name!r}"
    if "ssl.certificate.location" in properties and "sasl" not in properties.get("security.protocol", "").lower():
        return f"the user of the certificate {properties['ssl.certificate.location']}"
    if client := properties.get("sasl.oauthbearer.client.id"):
        return f"the user of --kafka sasl.oauthbearer.client.id={client}"
    return "the user of this connection"


class NotAllowed(BrokerError):
    """A broker does not allow a request.

    kind: of the resource. told: whether the text names user and right.
    """

    def __init__(self, text: str, kind: str, *, told: bool = False) -> None:
        super().__init__(text)
        self.kind, self.told = kind, told


def not_allowed(properties: Mapping[str, str], lacking: Sequence[Right], where: str = "") -> NotAllowed:
    """The error for rights on topics that are missing. `where` begins its text."""
    text = f"{where}{lacks_text(properties, lacking)}."
    return NotAllowed(text, TOPIC, told=True)


def lacks_text(properties: Mapping[str, str], lacking: Sequence[Right]) -> str:
    """Who lacks what, and the command that allows it. `lacking`: one or more."""
    whole = " and ".join(f"{right}" for right in lacking[:8]) + (" and more" if len(lacking) > 8 else "")
    line = _lines(lacking[:1], properties)[0]
    return f"{user_of(properties)} lacks {whole}. Allow it: {line} . --show-acls lists all that this command needs"


def explained(
    error: NotAllowed, lacking: Sequence[Right], rights: Sequence[Right], properties: Mapping[str, str]
) -> NotAllowed:
    """The error with what is missing: as far as the broker has said it, else what is needed of that kind of resource.

    Args:
        lacking: of the rights on topics, those that the user does not have, as the broker says.
        rights: all that the command needs.
    """
    if error.told:
        return error
    of_kind = [right for right in rights if right.kind == error.kind and not right.when]
    if error.kind == CLUSTER:  # brokers since 2.8 want Write on any topic instead
        of_kind = [IDEMPOTENT]
    missing = list(lacking) if error.kind in (TOPIC, CLUSTER) else []
    if not missing and len(of_kind) > 1:  # the broker has not said which
        whole = ", ".join(map(str, of_kind[:8]))
        text = f"{user_of(properties)} lacks one of these: {whole}. --show-acls lists all that this command needs"
    elif missing or of_kind:
        text = lacks_text(properties, missing or of_kind)
    else:
        text = f"{user_of(properties)} lacks a right on {_WORDS[error.kind]}"
    return NotAllowed(f"{text}. The broker said: {error}", error.kind, told=True)


def show(rights: Sequence[Right], properties: Mapping[str, str]) -> list[str]:
    """Lines for a shell: comments, and a command for each resource. What is needed in any case comes first."""
    lines = ["# For an administrator. On a broker with TLS or SASL add --command-config FILE to each line."]
    if not principal(properties):
        lines.append(f"# {UNKNOWN_USER}: the name that the broker gives to {user_of(properties)}.")
    for when in dict.fromkeys(sorted((right.when for right in rights), key=bool)):
        lines += [f"# {when[:1].upper()}{when[1:]}:"] if when else []
        lines += _lines([right for right in rights if right.when == when], properties)
    return lines


def _lines(rights: Sequence[Right], properties: Mapping[str, str]) -> list[str]:
    by_resource: dict[tuple[str, str, bool], list[str]] = {}
    for right in dict.fromkeys(rights):
        by_resource.setdefault((right.kind, right.name, right.prefixed), []).append(right.operation)
    servers = str(properties.get("bootstrap.servers", ""))
    who = shlex.quote(f"User:{principal(properties) or UNKNOWN_USER}")
    lines = []
    for (kind, name, prefixed), operations in by_resource.items():
        words = ["kafka-acls.sh", "--bootstrap-server", shlex.quote(servers), "--add", "--allow-principal", who]
        words += [word for operation in operations for word in ("--operation", operation)]
        words += [_FLAGS[kind], shlex.quote(name)] if kind in _FLAGS else ["--cluster"]
        words += ["--resource-pattern-type", "prefixed"] if prefixed else []
        lines.append(" ".join(words))
    return lines


def receipts_topic(topic: str) -> str:
    """The topic of receipts for the letters of a dead-letter topic that were re-submitted."""
    return f"{topic}.resubmitted"
