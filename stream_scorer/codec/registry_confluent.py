"""Three calls to a schema registry by Confluent's client: own CAs, client certificates, bearer tokens, OAuth, proxies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from stream_scorer.codec.registry_answers import (
    MAX_TEXT,
    TIMEOUT_S,
    BadAnswer,
    Definition,
    NoRegistry,
    Reference,
    chain,
    unread,
    without_credentials,
)
from stream_scorer.errors import SettingsError

T = TypeVar("T")


class ConfluentCalls:
    """The `Calls` of a registry. `properties`: the client's own. Raises SettingsError."""

    def __init__(self, url: str, properties: Mapping[str, str]) -> None:
        try:
            from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
            from confluent_kafka.schema_registry.error import OAuthTokenError
        except ImportError as error:
            raise SettingsError(
                f"--registry {next(iter(properties))} needs an extra that is not installed ({error.name}): "
                "pip install 'stream-scorer[registry]'."
            ) from error
        self._schema, self._bad, self._no_token = Schema, SchemaRegistryError, OAuthTokenError
        self.where = without_credentials(url)
        for key, value in properties.items():
            if key.endswith(".location") and not Path(value).exists():  # the client's error would not say which
                raise SettingsError(f"--registry {key}: there is no {value}.")
        try:
            self._client = SchemaRegistryClient(_settings(url, properties))
        except Exception as error:
            raise SettingsError(f"--registry: {type(error).__name__}: {error}. Correct its KEY=VALUE.") from error

    def by_id(self, number: int) -> Definition:
        return self._ask(lambda: _definition(self._client.get_schema(number)))

    def by_version(self, subject: str, version: int) -> Definition:
        return self._ask(lambda: _definition(self._client.get_version(subject, version, deleted=True).schema))

    def register(self, subject: str, schema: str) -> int:
        return self._ask(lambda: int(self._client.register_schema(subject, self._schema(schema, "AVRO"))))

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._bad as error:
            raise BadAnswer(error.http_status_code, error.error_code, str(error.error_message)[:MAX_TEXT]) from error
        except NoRegistry:
            raise
        except self._no_token as error:  # raised while another was handled, which says why
            raise _explained(error.__context__ or error) from (error.__context__ or error)
        except Exception as error:
            raise _explained(error) from error


def _settings(url: str, properties: Mapping[str, str]) -> dict[str, Any]:
    """Nothing is retried within: the loop waits, says so and hears SIGTERM meanwhile."""
    settings: dict[str, Any] = {"url": url, "max.retries": 0, **properties}
    settings["timeout"] = float(properties.get("timeout", TIMEOUT_S))
    if any(key.startswith("bearer.auth.") for key in properties):
        source = "STATIC_TOKEN" if "bearer.auth.token" in properties else "OAUTHBEARER"
        settings.setdefault("bearer.auth.credentials.source", source)
        settings.setdefault("bearer.auth.logical.cluster", "")  # means something to Confluent's cloud only
        if settings["bearer.auth.credentials.source"] == "OAUTHBEARER":
            settings.setdefault("bearer.auth.scope", "")
    return settings


def _definition(found: Any) -> Definition:
    if not isinstance(found.schema_str, str):
        raise NoRegistry("answered with JSON that has no schema")
    references = tuple(Reference(str(one.subject), int(one.version)) for one in found.references or ())
    return Definition(found.schema_str, found.schema_type or "AVRO", references)


def _explained(error: BaseException) -> Exception:
    """No answer of the registry: of the token's issuer, of the connection to either, or nothing that makes sense."""
    for one in chain(error):
        answer = getattr(one, "response", None)
        if status := getattr(answer, "status_code", None):
            return BadAnswer(status, None, f"no token: {one}")
        if isinstance(one, json.JSONDecodeError):
            return unread(one.doc)
        # By name: the client uses httpx or httpx2, whichever is there.
        if isinstance(one, OSError) or any(kind.__name__ == "TransportError" for kind in type(one).__mro__):
            return ConnectionError(f"{type(one).__name__}: {one}")
    return NoRegistry(f"no answer of a registry, or no token for it ({type(error).__name__}: {str(error)[:MAX_TEXT]})")
