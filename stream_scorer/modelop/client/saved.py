"""The file in which `stream-scorer connect` saves the address of the server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.system.folders import user_folder

DEFAULT_URL = "http://127.0.0.1:8003"


@dataclass(frozen=True)
class Saved:
    """`token` and `ca` are paths of files: no secret is saved. `target`: the instance that `use` names."""

    url: str = DEFAULT_URL
    token: str | None = None
    ca: str | None = None
    insecure: bool = False
    preferred: dict[str, str] = field(default_factory=dict)
    target: str | None = None


def path() -> Path:
    """Return the path of the file. Raises SettingsError: there is no directory for it."""
    return user_folder("XDG_CONFIG_HOME", ".config") / "client.json"


def load() -> Saved:
    """Return what was saved, or defaults. Raises SettingsError: the file cannot be read."""
    try:
        file = path()
        if not file.is_file():
            return Saved()
    except (SettingsError, OSError):  # there is no directory for the file, so nothing was saved
        return Saved()
    try:
        return Saved(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}). Run `stream-scorer connect URL` again.") from error


def save(saved: Saved) -> Path:
    """Write the file and return its path. Raises SettingsError."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(saved), indent=1) + "\n")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written ({error.strerror}).") from error
    return file
