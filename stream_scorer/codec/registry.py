"""The schemas of a schema registry: each is asked for once, and parsed with the schemas that it refers to."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from stream_scorer.codec.registry_answers import MAX_TEXT, Busy, Calls, Definition, Reference, UnknownSchema, classify
from stream_scorer.codec.schema import NO_SCHEMA
from stream_scorer.codec.schema_references import joined_schema
from stream_scorer.errors import SettingsError, Unanswered
from stream_scorer.parsing.spelling import did_you_mean

__all__ = ["Registry", "UnknownSchema", "open_registry"]

UNKNOWN_S = 10.0
"""Seconds before an id that the registry does not know is asked for again."""
MAX_ID = 2**31 - 1
"""An id is a Java int. For a larger one a registry answers as if the URL were wrong."""
MAX_REFERENCES = 200
_MAX_UNKNOWN = 10_000
USER_INFO = "basic.auth.user.info"
"""The only property that our own client knows."""
PROPERTIES = (
    USER_INFO, "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "proxy", "timeout",
    "bearer.auth.credentials.source", "bearer.auth.token", "bearer.auth.client.id", "bearer.auth.client.secret",
    "bearer.auth.scope", "bearer.auth.issuer.endpoint.url", "bearer.auth.issuer.endpoint.query",
    "bearer.auth.logical.cluster", "bearer.auth.identity.pool.id",
)  # fmt: skip
T = TypeVar("T")


def open_registry(url: str, properties: Mapping[str, str]) -> Registry:
    """Uses our own client, or Confluent's if `properties` need it. Opens no connection.

    Raises SettingsError: the extra with Confluent's client is not installed, or a property is wrong.
    """
    for key in properties:
        if key not in PROPERTIES:
            near = did_you_mean(key, PROPERTIES) or f" There are: {', '.join(PROPERTIES)}."
            raise SettingsError(f"--registry {key}: no such property.{near}")
    if ":" not in properties.get(USER_INFO, ":"):
        raise SettingsError(f"--registry {USER_INFO}: not of the form USER:PASSWORD.")
    if set(properties) <= {USER_INFO}:
        from stream_scorer.codec.registry_http import HttpCalls

        return Registry(HttpCalls(url, properties.get(USER_INFO)))
    from stream_scorer.codec.registry_confluent import ConfluentCalls

    return Registry(ConfluentCalls(url, properties))


class Registry:
    """A schema registry, as scoring uses it. Calls block for `TIMEOUT_S` each at most. An id always has the same schema, so each
    is asked for once.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._schemas: dict[int, Any] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._unknown: dict[int, tuple[float, str]] = {}
        self._failed: Callable[[], object] | None = None
        self._not_before = 0.0

    def schema(self, number: int) -> Any:
        """The parsed schema of an id. May block. Raises UnknownSchema, Unanswered or BrokerError."""
        if number in self._schemas:
            return self._schemas[number]
        if number > MAX_ID:
            raise UnknownSchema(f"ids go up to {MAX_ID:,}")
        since, text = self._unknown.get(number, (0.0, ""))
        if text and time.monotonic() - since < UNKNOWN_S:
            raise UnknownSchema(text)
        try:
            self._schemas[number] = self._patiently(lambda: self._look_up(number), lambda: self.schema(number))
        except UnknownSchema as error:
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[number] = time.monotonic(), str(error) or "no schema"
            raise
        return self._schemas[number]

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema (JSON text) under a subject, where it is registered if it is new. May block.

        Raises Unanswered or BrokerError.
        """
        key = subject, schema
        if key not in self._ids:
            request = f"POST /subjects/{subject}/versions"
            self._ids[key] = self._patiently(
                lambda: self._ask(request, lambda: self._calls.register(subject, schema)), lambda: self.register(*key)
            )
        return self._ids[key]

    def check(self) -> None:
        """Repeat the last request if it was not answered. Its answer is kept for whoever asks for it next. May block.

        Raises Unanswered (still no answer) or BrokerError.
        """
        if self._failed is not None:
            with contextlib.suppress(UnknownSchema):  # which is an answer too
                self._failed()
            self._failed = None

    def _patiently(self, call: Callable[[], T], again: Callable[[], object]) -> T:
        """Raises Unanswered until the time that the registry has named. Keeps a request without an answer for `check`."""
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0:
            self._failed = again
            raise Unanswered(f"schema registry {self._calls.where}: it wants no request for {wait_s:.1f} s more")
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
            raise classify(self._calls.where, request, error) from error

    def _look_up(self, number: int) -> Any:
        main = self._ask(f"GET /schemas/ids/{number}", lambda: self._calls.by_id(number))
        if main.kind != "AVRO":
            raise UnknownSchema(f"it is not an Avro schema, but {main.kind[:100]}")
        referred: list[Definition] = []
        self._collect(main, referred, set())
        try:
            return joined_schema(json.loads(main.text), [json.loads(other.text) for other in referred])
        except NO_SCHEMA as error:
            raise UnknownSchema(
                f"it is not an Avro schema ({type(error).__name__}: {str(error)[:MAX_TEXT]})"
            ) from error

    def _collect(self, definition: Definition, referred: list[Definition], seen: set[Reference]) -> None:
        """Adds to `referred` the schemas that a schema refers to, directly or not; each follows those that it needs itself."""
        for reference in definition.references:
            if reference in seen:
                continue
            seen.add(reference)
            if len(seen) > MAX_REFERENCES:
                raise UnknownSchema(f"it refers to more than {MAX_REFERENCES} others")
            request = f"GET /subjects/{reference.subject}/versions/{reference.version}"
            other = self._ask(request, functools.partial(self._calls.by_version, *reference))
            self._collect(other, referred, seen)
            referred.append(other)
