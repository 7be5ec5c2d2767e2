"""The import policies of an engine, stored on disk (rule `j.policy`)."""

from __future__ import annotations

import threading
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.server.store import Store


class PolicyStore:
    """A policy is set for a type of model; both types of Python models use the policy that was set last.

    Args:
        engine: name of the engine.
        default: file with the policy for as long as none is set.

    Raises:
        SettingsError: the file cannot be read.
    """

    def __init__(self, store: Store, engine: str, default: Path | None) -> None:
        self._store = store
        self._engine = engine
        self._lock = threading.Lock()
        self._default = b""
        if default is not None:
            try:
                self._default = default.read_bytes()
            except OSError as error:
                raise SettingsError(f"--policy {default}: cannot be read ({error.strerror}).") from error

    def current(self) -> Policy:
        """Return the policy that was set last. Raises SettingsError: it is not a policy."""
        return _parsed(self.text("current"))

    def text(self, type_: str) -> bytes:
        """Return the YAML that was set for a type."""
        stored = self._store.get("policy", f"{self._engine}/{type_}") or self._store.get(
            "policy", f"{self._engine}/current"
        )
        return stored.body if stored else self._default

    def set(self, type_: str, text: bytes, *, preinstall: bool) -> Policy:
        """Store and return a policy. With `preinstall` it blocks while libraries are installed.

        Raises SettingsError (not a policy) and ModelError (a library cannot be installed).
        """
        policy = _parsed(text)
        if preinstall:
            policy.install([rule.library for rule in policy.rules.values() if rule.kind == "install"])
        with self._lock:
            for name in (type_, "current"):
                self._store.put("policy", f"{self._engine}/{name}", "application/x-yaml", text)
        return policy


def _parsed(text: bytes) -> Policy:
    try:
        return Policy.parse(text.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"the import policy is not UTF-8: {error}") from error
