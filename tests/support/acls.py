"""A user of the secured broker who has the rights that `--show-acls` prints, and can lose one of them."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Iterator

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.secured import SecuredBroker

_KINDS = {
    "--topic": (ResourceType.TOPIC, "topic"),
    "--group": (ResourceType.GROUP, "group"),
    "--transactional-id": (ResourceType.TRANSACTIONAL_ID, "transactional id"),
}
_OPERATIONS = {operation.name.title().replace("_", ""): operation for operation in AclOperation}


class Listed:
    """One right of the output of `--show-acls`. always: it stands before the first comment that says when it is needed.

    text: as an error names it.
    """

    def __init__(self, operation: str, flag: str, name: str, *, user: str, prefixed: bool, always: bool) -> None:
        kind, word = _KINDS[flag]
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        allow = AclPermissionType.ALLOW
        self.binding = AclBinding(kind, name, pattern, user, "*", _OPERATIONS[operation], allow)
        self.filter = AclBindingFilter(kind, name, pattern, user, "*", _OPERATIONS[operation], allow)
        self.operation, self.always = operation, always
        self.text = f"{operation} on {word} {name + '*' if prefixed else name!r}"


def listed(output: str) -> list[Listed]:
    """What the lines of `--show-acls` allow, as a shell and kafka-acls.sh read them."""
    rights, always = [], True
    for line in output.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            always &= ":" not in line.partition("#")[2][-1:]
            continue
        assert words[0] == "kafka-acls.sh"
        (user,) = (words[at + 1] for at, word in enumerate(words) if word == "--allow-principal")
        ((flag, name),) = ((word, words[at + 1]) for at, word in enumerate(words) if word in _KINDS)
        for at, word in enumerate(words):
            if word == "--operation":
                rights.append(Listed(words[at + 1], flag, name, user=user, prefixed="prefixed" in words, always=always))
    return rights


class Guarded:
    """A user who may do nothing at first. servers, properties: of its connection."""

    def __init__(self, broker: SecuredBroker, name: str) -> None:
        self.name = name
        self.servers, self.properties = broker.add_user(name, "pw of the guarded")
        self._admin = AdminClient({"bootstrap.servers": broker.servers})

    @property
    def flags(self) -> list[str]:
        pairs = (word for pair in self.properties.items() for word in ("--kafka", "=".join(pair)))
        return ["--bootstrap-servers", self.servers, *pairs]

    def allow(self, rights: Iterable[Listed]) -> None:
        bindings = [right.binding for right in rights]
        for created in self._admin.create_acls(bindings).values():
            created.result(30)
        for right in rights:
            self._wait(right, there=True)

    def forbid(self, right: Listed) -> None:
        for deleted in self._admin.delete_acls([right.filter]).values():
            assert len(deleted.result(30)) == 1
        self._wait(right, there=False)

    def _wait(self, right: Listed, *, there: bool) -> None:
        """Until the broker has heard it from its controller."""
        deadline = time.monotonic() + 60
        while bool(self._admin.describe_acls(right.filter).result(30)) != there:
            assert time.monotonic() < deadline, f"{right.text}: {there} after 60 s"
            time.sleep(0.01)

    @contextlib.contextmanager
    def without(self, right: Listed) -> Iterator[None]:
        self.forbid(right)
        yield
        self.allow([right])
