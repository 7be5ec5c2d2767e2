"""Requests to a schema registry by Confluent's client, for tokens of an issuer (OAuth)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from stream_scorer.codec.registry_access import (
    CERTIFICATE,
    CLUSTER,
    KEY_PASSWORD,
    SOURCE,
    STATIC,
    TOKEN,
    USER_INFO,
    Access,
)
from stream_scorer.codec.registry_answers import BadAnswer, Definition, NoRegistry, Reference, chain, one_line, unread
from stream_scorer.errors import SettingsError

T = TypeVar("T")


class ConfluentCalls:
    """The `Calls` of a registry. Confluent's client follows no redirect.

    Raises SettingsError: the client is not installed, or refuses a property.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        try:
            from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
            from confluent_kafka.schema_registry.error import OAuthTokenError
        except ImportError as error:
            raise SettingsError(
                f"--registry {next(iter(access.properties))} needs an extra that is not installed ({error.name}): "
                "pip install 'stream-scorer[registry]'."
            ) from error
        self._schema, self._bad, self._no_token = Schema, SchemaRegistryError, OAuthTokenError
        try:
            self._client = SchemaRegistryClient(_settings(access))
        except Exception as error:
            text = access.hide(f"{type(error).__name__}: {error}")
            raise SettingsError(f"--registry: {text}. Correct its KEY=VALUE.") from error

    def by_id(self, number: int) -> Definition:
        return self._ask(lambda: _definition(self._client.get_schema(number)))

    def by_version(self, subject: str, version: int) -> Definition:
        return self._ask(lambda: _definition(self._client.get_version(subject, version, deleted=True).schema))

    def register(self, subject: str, schema: str) -> int:
        return self._ask(lambda: int(self._client.register_schema(subject, self._schema(schema, "AVRO"))))

    def close(self) -> None:
        self._client.close()

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._bad as error:
            raise BadAnswer(error.http_status_code, error.error_code, str(error.error_message)) from error
        except NoRegistry:
            raise
        except self._no_token as error:  # its context has the cause
            raise _explained(error.__context__ or error) from (error.__context__ or error)
        except Exception as error:
            raise _explained(error) from error


def _settings(access: Access) -> dict[str, Any]:
    """The client must not retry: the loop does, logs it, and hears SIGTERM meanwhile.

    The URL is without credentials: the HTTP library logs it.
    """
    properties = access.properties
    settings: dict[str, Any] = {"url": access.url, "max.retries": 0, **properties, "timeout": access.timeout_s}
    if access.user_info is not None:
        settings[USER_INFO] = access.user_info
    if CERTIFICATE in properties:  # else OpenSSL would ask the terminal for the password of an encrypted key, and wait
        settings.setdefault(KEY_PASSWORD, "")
    if any(key.startswith("bearer.auth.") for key in properties):
        settings.setdefault(SOURCE, STATIC if TOKEN in properties else "OAUTHBEARER")
        settings.setdefault(CLUSTER, "")  # only Confluent's cloud needs a value
        if settings[SOURCE] == "OAUTHBEARER":
            settings.setdefault("bearer.auth.scope", "")
    return settings


def _definition(schema: Any) -> Definition:
    if not isinstance(schema.schema_str, str):
        raise NoRegistry("answered with JSON that has no schema")
    references = tuple(Reference(str(other.subject), int(other.version)) for other in schema.references or ())
    return Definition(schema.schema_str, schema.schema_type or "AVRO", references)


def _explained(error: BaseException) -> Exception:
    """Our error for a call that the registry did not answer: the token's issuer or the connection failed, or anything else."""
    for cause in chain(error):
        answer = getattr(cause, "response", None)
        if status := getattr(answer, "status_code", None):
            return BadAnswer(status, None, f"no token: {cause}")
        if isinstance(cause, json.JSONDecodeError):
            return unread(cause.doc)
        # By name, because the client uses httpx or httpx2, whichever is installed.
        if isinstance(cause, OSError) or any(kind.__name__ == "TransportError" for kind in type(cause).__mro__):
            return ConnectionError(f"{type(cause).__name__}: {cause}")
    return NoRegistry(f"no answer of a registry, or no token for it ({type(error).__name__}: {one_line(error)})")
