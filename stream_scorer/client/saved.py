"""Where `stream-scorer connect` keeps what it was told."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stream_scorer.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8003"


@dataclass(frozen=True)
class Saved:
    """`token` and `ca` are paths of files: no secret is kept. `target`: the instance that `use` named."""

    url: str = DEFAULT_URL
    token: str | None = None
    ca: str | None = None
    insecure: bool = False
    preferred: dict[str, str] = field(default_factory=dict)
    target: str | None = None


def path() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "stream-scorer" / "client.json"


def load() -> Saved:
    """Raises SettingsError on a file that is none of ours."""
    file = path()
    if not file.is_file():
        return Saved()
    try:
        return Saved(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}). Run `stream-scorer connect URL` again.") from error


def save(saved: Saved) -> Path:
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(saved), indent=1) + "\n")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written ({error.strerror}).") from error
    return file
