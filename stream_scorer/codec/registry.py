"""Schemas of a schema registry: asked for once, parsed, with all that they refer to."""

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
"""So long an id that the registry does not know is not asked for again."""
MAX_ID = 2**31 - 1
"""An id is a Java int: a registry would not find its own address for a larger one."""
MAX_REFERENCES = 200
_MAX_UNKNOWN = 10_000
OWN = "basic.auth.user.info"
"""The property for which no other client is needed than our own."""
PROPERTIES = (
    OWN, "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "proxy", "timeout",
    "bearer.auth.credentials.source", "bearer.auth.token", "bearer.auth.client.id", "bearer.auth.client.secret",
    "bearer.auth.scope", "bearer.auth.issuer.endpoint.url", "bearer.auth.issuer.endpoint.query",
    "bearer.auth.logical.cluster", "bearer.auth.identity.pool.id",
)  # fmt: skip
T = TypeVar("T")


def open_registry(url: str, properties: Mapping[str, str]) -> Registry:
    """By our own three calls, or by Confluent's client where `properties` ask for what those cannot.

    Raises SettingsError: the extra is not installed, or a property is wrong. Opens no socket.
    """
    for key in properties:
        if key not in PROPERTIES:
            near = did_you_mean(key, PROPERTIES) or f" There are: {', '.join(PROPERTIES)}."
            raise SettingsError(f"--registry {key}: no such property.{near}")
    if ":" not in properties.get(OWN, ":"):
        raise SettingsError(f"--registry {OWN}: not of the form USER:PASSWORD.")
    if set(properties) <= {OWN}:
        from stream_scorer.codec.registry_http import HttpCalls

        return Registry(HttpCalls(url, properties.get(OWN)))
    from stream_scorer.codec.registry_confluent import ConfluentCalls

    return Registry(ConfluentCalls(url, properties))


class Registry:
    """Schemas never change under an id, so each is asked for once."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._schemas: dict[int, Any] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._unknown: dict[int, tuple[float, str]] = {}
        self._failed: Callable[[], object] | None = None
        self._not_before = 0.0

    def schema(self, number: int) -> Any:
        """The parsed schema of an id. Raises UnknownSchema, Unanswered or BrokerError."""
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
        """The id of a schema (JSON text) under a subject; registered if it is new there.

        Raises Unanswered or BrokerError.
        """
        key = subject, schema
        if key not in self._ids:
            what = f"POST /subjects/{subject}/versions"
            self._ids[key] = self._patiently(
                lambda: self._ask(what, lambda: self._calls.register(subject, schema)), lambda: self.register(*key)
            )
        return self._ids[key]

    def check(self) -> None:
        """Ask again what was not answered, if anything: whoever asked for it will find the answer here.

        Raises Unanswered as long as there is none, BrokerError.
        """
        if self._failed is not None:
            with contextlib.suppress(UnknownSchema):  # which is an answer too
                self._failed()
            self._failed = None

    def _patiently(self, call: Callable[[], T], again: Callable[[], object]) -> T:
        """Notes what was not answered. Does not ask before the time that the registry has named."""
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0:
            self._failed = again
            raise Unanswered(f"schema registry {self._calls.where}: it asked to be left alone for {wait_s:.1f} s more")
        try:
            return call()
        except Unanswered as error:
            self._failed = again
            if isinstance(error, Busy):
                self._not_before = time.monotonic() + error.after_s
            raise

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # of any library: `classify` knows what passes
            raise classify(self._calls.where, what, error) from error

    def _look_up(self, number: int) -> Any:
        main = self._ask(f"GET /schemas/ids/{number}", lambda: self._calls.by_id(number))
        if main.kind != "AVRO":
            raise UnknownSchema(f"it is no Avro schema, but {main.kind[:100]}")
        referred: list[Definition] = []
        self._collect(main, referred, set())
        try:
            return joined_schema(json.loads(main.text), [json.loads(other.text) for other in referred])
        except NO_SCHEMA as error:
            raise UnknownSchema(f"it is no Avro schema ({type(error).__name__}: {str(error)[:MAX_TEXT]})") from error

    def _collect(self, definition: Definition, found: list[Definition], seen: set[Reference]) -> None:
        """All that a schema refers to, and what those refer to: each after what it needs itself."""
        for reference in definition.references:
            if reference in seen:
                continue
            seen.add(reference)
            if len(seen) > MAX_REFERENCES:
                raise UnknownSchema(f"it refers to more than {MAX_REFERENCES} others")
            what = f"GET /subjects/{reference.subject}/versions/{reference.version}"
            other = self._ask(what, functools.partial(self._calls.by_version, *reference))
            self._collect(other, found, seen)
            found.append(other)
