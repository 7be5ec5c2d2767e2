"""How a schema registry is reached: its URL, credentials, certificates and proxy, from a URL and Confluent's properties."""

from __future__ import annotations

import base64
import math
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_scorer.codec.registry_answers import TIMEOUT_S
from stream_scorer.errors import SettingsError
from stream_scorer.parsing.addresses import is_url
from stream_scorer.parsing.spelling import did_you_mean
from stream_scorer.secret_text import HIDDEN

USER_INFO, TOKEN, SOURCE = "basic.auth.user.info", "bearer.auth.token", "bearer.auth.credentials.source"
CA, CERTIFICATE = "ssl.ca.location", "ssl.certificate.location"
KEY, KEY_PASSWORD = "ssl.key.location", "ssl.key.password"
CLUSTER, POOL = "bearer.auth.logical.cluster", "bearer.auth.identity.pool.id"
_OWN = (USER_INFO, TOKEN, SOURCE, CA, CERTIFICATE, KEY, KEY_PASSWORD, CLUSTER, POOL, "proxy", "timeout")
"""Properties that our own client knows."""
OAUTH = (
    "bearer.auth.client.id", "bearer.auth.client.secret", "bearer.auth.scope", "bearer.auth.issuer.endpoint.url",
    "bearer.auth.issuer.endpoint.query",
)  # fmt: skip
"""Properties that only Confluent's client knows: tokens of an issuer."""
PROPERTIES = (*_OWN, *OAUTH)
STATIC = "STATIC_TOKEN"
LONGEST_S = 300.0


def without_credentials(url: str) -> str:
    """The URL of a registry without user, password and query: for texts, and for paths to be appended."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


@dataclass(frozen=True, repr=False)
class Access:
    """url: without credentials. user_info: USER:PASSWORD. context: of TLS; None without TLS. proxy: a URL, "" for that of the
    environment.
    """

    url: str
    user_info: str | None
    properties: Mapping[str, str]
    context: ssl.SSLContext | None
    timeout_s: float

    @property
    def proxy(self) -> str:
        return self.properties.get("proxy", "")

    @property
    def own(self) -> bool:
        """Whether our own client can do it."""
        return self.properties.get(SOURCE, STATIC) == STATIC and set(self.properties) <= set(_OWN)

    def headers(self) -> dict[str, str]:
        """Those that tell who we are. They are for this registry alone."""
        properties = self.properties
        if self.user_info is not None:
            return {"Authorization": "Basic " + base64.b64encode(self.user_info.encode()).decode()}
        if TOKEN not in properties:
            return {}
        headers = {"Authorization": f"Bearer {properties[TOKEN]}", "target-sr-cluster": properties.get(CLUSTER, "")}
        return headers | ({"Confluent-Identity-Pool-Id": properties[POOL]} if POOL in properties else {})

    def hide(self, text: str) -> str:
        """The text without our secrets, which a registry or a proxy may have sent back to us."""
        for secret in self._secrets():
            text = text.replace(secret, HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        given = [self.properties.get(name, "") for name in (TOKEN, KEY_PASSWORD, "bearer.auth.client.secret")]
        given.append(urllib.parse.urlsplit(self.proxy).password or "")
        if self.user_info is not None:
            given += [self.user_info.partition(":")[2], base64.b64encode(self.user_info.encode()).decode()]
        found = {form for secret in given if secret for form in (secret, urllib.parse.quote(secret, safe=""))}
        return sorted(found, key=len, reverse=True)

    @property
    def sent(self) -> str:
        """Which credentials are sent, in words and without them."""
        if self.user_info is not None:
            return "a user and a password were sent"
        return "a bearer token was sent" if self.properties.keys() & {TOKEN, *OAUTH} else "no credentials were sent"


def access(url: str, properties: Mapping[str, str]) -> Access:
    """Checks URL and properties; reads the files of TLS; opens no connection. Raises SettingsError, whose text has no value."""
    for key in properties:
        if key not in PROPERTIES:
            near = did_you_mean(key, PROPERTIES) or f" There are: {', '.join(PROPERTIES)}."
            raise SettingsError(f"--registry {key}: no such property.{near}")
    _check_values(properties)
    try:
        parts = urllib.parse.urlsplit(url)
        user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    except ValueError as error:
        raise SettingsError("--schema-registry: not a URL.") from error
    user_info = properties.get(USER_INFO)
    if user_info is None and parts.username is not None:
        user_info = f"{user}:{password}"
    if user_info is not None and TOKEN in properties:
        raise SettingsError(f"--registry {TOKEN}: there are a user and a password, too. Give one of the two.")
    context = _context(properties)
    timeout_s = _timeout_s(properties)
    return Access(
        without_credentials(url), user_info, dict(properties), context if parts.scheme == "https" else None, timeout_s
    )


def _check_values(properties: Mapping[str, str]) -> None:
    if ":" not in properties.get(USER_INFO, ":"):
        raise SettingsError(f"--registry {USER_INFO}: not of the form USER:PASSWORD.")
    for key in (TOKEN, CLUSTER, POOL):
        value = properties.get(key, "x")
        if not (value.isascii() and value.isprintable() and value):
            raise SettingsError(
                f"--registry {key}: expected printable ASCII in one line, as HTTP's headers take no other."
            )
    if properties.get("proxy") and not is_url(properties["proxy"]):
        raise SettingsError("--registry proxy: expected a URL http://[USER:PASSWORD@]HOST:PORT.")


def _timeout_s(properties: Mapping[str, str]) -> float:
    try:
        timeout_s = float(properties.get("timeout", TIMEOUT_S))
    except ValueError:
        timeout_s = math.nan
    if not 0 < timeout_s <= LONGEST_S:
        raise SettingsError(f"--registry timeout: expected a number of seconds, above 0 and up to {LONGEST_S:.0f}.")
    return timeout_s


def _context(properties: Mapping[str, str]) -> ssl.SSLContext | None:
    """Of the files of TLS, which are read also if the URL has no TLS: then, too, a wrong one is an error."""
    for key in (CA, CERTIFICATE, KEY):
        if key in properties and not Path(properties[key]).exists():
            raise SettingsError(f"--registry {key}: there is no {properties[key]}.")
    if CERTIFICATE not in properties and (KEY in properties or KEY_PASSWORD in properties):
        raise SettingsError(f"--registry {CERTIFICATE} is missing: {KEY} and {KEY_PASSWORD} belong to a certificate.")
    ca = properties.get(CA)
    try:
        context = ssl.create_default_context(
            cafile=ca if ca and not Path(ca).is_dir() else None, capath=ca if ca and Path(ca).is_dir() else None
        )
    except OSError as error:  # SSLError is one
        raise SettingsError(f"--registry {CA}: {ca} has no certificates in PEM ({_reason(error)}).") from error
    if CERTIFICATE in properties:
        _load(context, properties)
    return context


def _load(context: ssl.SSLContext, properties: Mapping[str, str]) -> None:
    certificate, key = properties[CERTIFICATE], properties.get(KEY)
    try:
        # Always a function: without one OpenSSL asks the terminal for the password of an encrypted key, and waits.
        context.load_cert_chain(certificate, key, lambda: properties.get(KEY_PASSWORD, ""))
    except (OSError, ValueError) as error:
        where = f"{CERTIFICATE} {certificate}" + (f" and {KEY} {key}" if key else "")
        raise SettingsError(
            f"--registry {where}: no certificate with its key in PEM ({_reason(error)}). If the key is encrypted, correct "
            f"{KEY_PASSWORD}=@FILE."
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
