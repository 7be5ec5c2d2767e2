"""The schemas of a schema registry: each is asked for once, and parsed with the schemas that it refers to."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from stream_scorer.codec.registry_access import access
from stream_scorer.codec.registry_answers import Busy, Calls, Definition, Reference, UnknownSchema, classify, one_line
from stream_scorer.codec.schema import NO_SCHEMA
from stream_scorer.codec.schema_references import joined_schema
from stream_scorer.errors import BrokerError, TransportError, Unanswered

__all__ = ["Registry", "UnknownSchema", "open_registry"]

UNKNOWN_S = 30.0
"""Seconds before an id that the registry does not know is asked for again."""
MAX_ID = 2**31 - 1
"""An id is a Java int. For a larger one a registry answers as if the URL were wrong."""
MAX_REFERENCES = 200
MAX_SCHEMA = 1 << 20
"""Characters of a schema. A registry keeps each in one record of Kafka, which takes no more unless it is set so."""
MAX_SCHEMAS = 4 * MAX_SCHEMA
"""Characters of a schema and all that it refers to. To parse and compare so much takes some seconds."""
MAX_KNOWN = 1_000
"""Schemas kept. Whoever writes to the input can name every schema of the registry."""
_MAX_UNKNOWN = 10_000
AT_ONCE = 16
"""Requests at a time, of many ids that come together."""
MAX_AHEAD = 64
"""Schemas that are asked for ahead: those of a topic are few, and each may be large."""
T = TypeVar("T")


def open_registry(url: str, properties: Mapping[str, str]) -> Registry:
    """Uses our own client, or Confluent's if `properties` need it. Opens no connection.

    Raises SettingsError: the extra with Confluent's client is not installed, or a property or a file of TLS is wrong.
    """
    way = access(url, properties)
    if way.own:
        from stream_scorer.codec.registry_http import HttpCalls

        return Registry(HttpCalls(way))
    from stream_scorer.codec.registry_confluent import ConfluentCalls

    return Registry(ConfluentCalls(way))


class Registry:
    """A schema registry, as scoring uses it. Calls block for `TIMEOUT_S` each at most. An id always has the same schema, so each
    is asked for once.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._schemas: OrderedDict[int, Any] = OrderedDict()
        self._ids: dict[tuple[str, str], int] = {}
        self._unknown: OrderedDict[int, tuple[float, str]] = OrderedDict()
        self._ahead: dict[int, Definition] = {}
        self._failed: Callable[[], object] | None = None
        self._not_before = 0.0

    def schema(self, number: int) -> Any:
        """The parsed schema of an id. May block. Raises UnknownSchema, Unanswered or BrokerError."""
        if number in self._schemas:
            return self._schemas[number]
        if number > MAX_ID:
            raise UnknownSchema(f"ids go up to {MAX_ID:,}")
        if text := self._known_as_unknown(number):
            raise UnknownSchema(text)
        try:
            schema = self._patiently(lambda: self._look_up(number), lambda: self.schema(number))
        except UnknownSchema as error:
            self._note_unknown(number, error)
            raise
        _keep(self._schemas, number, schema, MAX_KNOWN)
        return schema

    def look_ahead(self, numbers: Iterable[int]) -> None:
        """Ask for the ids that are not known yet, several at a time, so that `schema` has their answers. Raises nothing.

        Whoever writes to the input can give each record an id of its own: one after the other would take minutes. Blocks. An
        error ends it: `schema` meets that again.
        """
        new = [n for n in dict.fromkeys(numbers) if n <= MAX_ID and n not in self._schemas]
        new = [number for number in new if not self._known_as_unknown(number)][:_MAX_UNKNOWN]
        if len(new) < 2 or self._not_before > time.monotonic():
            return
        self._ahead.clear()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for at in range(0, len(new), AT_ONCE):
                answered = list(pool.map(self._asked_ahead, new[at : at + AT_ONCE]))
                if not all(answered) or len(self._ahead) > MAX_AHEAD:
                    return

    def _asked_ahead(self, number: int) -> bool:
        """Whether there was an answer."""
        try:
            self._ahead[number] = self._ask(f"GET /schemas/ids/{number}", lambda: self._calls.by_id(number))
        except UnknownSchema as error:
            self._note_unknown(number, error)
        except TransportError:
            return False
        return True

    def _known_as_unknown(self, number: int) -> str:
        """Why the registry has no such schema, if it has said so a short while ago."""
        since, text = self._unknown.get(number, (0.0, ""))
        return text if time.monotonic() - since < UNKNOWN_S else ""

    def _note_unknown(self, number: int, error: UnknownSchema) -> None:
        self._unknown.pop(number, None)
        _keep(self._unknown, number, (time.monotonic(), str(error) or "no schema"), _MAX_UNKNOWN)

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema (JSON text) under a subject, where it is registered if it is new. May block.

        Raises Unanswered or BrokerError.
        """
        key = subject, schema
        if key not in self._ids:
            request = f"POST /subjects/{subject}/versions"
            number = self._patiently(
                lambda: self._ask(request, lambda: self._calls.register(subject, schema)), lambda: self.register(*key)
            )
            if not 0 <= number <= MAX_ID:
                raise BrokerError(
                    f"schema registry {self._calls.access.url}: {request} gave {number}, which no id can be."
                )
            self._ids[key] = number
        return self._ids[key]

    def check(self) -> None:
        """Repeat the last request if it was not answered. Its answer is kept for whoever asks for it next. May block.

        Raises Unanswered (still no answer) or BrokerError.
        """
        if self._failed is not None:
            with contextlib.suppress(UnknownSchema):  # which is an answer too
                self._failed()
            self._failed = None

    def close(self) -> None:
        """Close what connections are open. Blocks for no answer."""
        self._calls.close()

    def _patiently(self, call: Callable[[], T], again: Callable[[], object]) -> T:
        """Raises Unanswered until the time that the registry has named. Keeps a request without an answer for `check`."""
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0:
            self._failed = again
            raise Unanswered(f"schema registry {self._calls.access.url}: it wants no request for {wait_s:.1f} s more")
        try:
            return call()
        except Unanswered as error:
            self._failed = again
            if isinstance(error, Busy):
                self._not_before = time.monotonic() + error.after_s
            raise

    def _ask(self, request: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # of any library: `classify` knows which may pass
            raise classify(self._calls.access, request, error) from error

    def _look_up(self, number: int) -> Any:
        main = self._ahead.pop(number, None) or self._ask(
            f"GET /schemas/ids/{number}", lambda: self._calls.by_id(number)
        )
        if main.kind != "AVRO":
            raise UnknownSchema(f"it is not an Avro schema, but {one_line(main.kind)[:100]}")
        referred: list[Definition] = []
        self._collect(main, referred, set())
        texts = [main.text, *(other.text for other in referred)]
        if max(map(len, texts)) > MAX_SCHEMA or sum(map(len, texts)) > MAX_SCHEMAS:
            raise UnknownSchema(
                f"it has more than {MAX_SCHEMA:,} characters, or {MAX_SCHEMAS:,} with those it refers to"
            )
        try:
            return joined_schema(json.loads(main.text), [json.loads(other.text) for other in referred])
        except NO_SCHEMA as error:
            raise UnknownSchema(f"it is not an Avro schema ({type(error).__name__}: {one_line(error)})") from error

    def _collect(self, definition: Definition, referred: list[Definition], seen: set[Reference]) -> None:
        """Adds to `referred` the schemas that a schema refers to, directly or not; each follows those that it needs itself."""
        for reference in definition.references:
            if reference in seen:
                continue
            seen.add(reference)
            if len(seen) > MAX_REFERENCES:
                raise UnknownSchema(f"it refers to more than {MAX_REFERENCES} others")
            subject = one_line(reference.subject)
            request = f"GET /subjects/{subject}/versions/{reference.version}"
            if subject != reference.subject or subject in ("", ".", ".."):
                raise UnknownSchema(f"it refers to a subject of no name ({subject!r})")
            other = self._ask(request, functools.partial(self._calls.by_version, *reference))
            self._collect(other, referred, seen)
            referred.append(other)


def _keep(kept: OrderedDict[int, Any], number: int, value: Any, most: int) -> None:
    """Add an entry, and drop the oldest ones if there are too many."""
    kept[number] = value
    while len(kept) > most:
        kept.popitem(last=False)
