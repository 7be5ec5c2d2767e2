"""The import policy of an engine, kept on disk [j]."""

from __future__ import annotations

import threading
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.process.policy import Policy
from stream_scorer.modelop.server.store import Store


class Policies:
    """Policies are set for a type of model; both types of Python model run under the one that was set last.

    Args:
        engine: name of the engine whose they are.
        default: file with the policy where none was set. Raises SettingsError.
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
        """Raises SettingsError."""
        return _parsed(self.text("current"))

    def text(self, type_: str) -> bytes:
        """YAML, as it was set."""
        kept = self._store.get("policy", f"{self._engine}/{type_}") or self._store.get(
            "policy", f"{self._engine}/current"
        )
        return kept.body if kept else self._default

    def set(self, type_: str, text: bytes, *, preinstall: bool) -> Policy:
        """Raises SettingsError (not a policy) and ModelError (a library cannot be installed)."""
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
