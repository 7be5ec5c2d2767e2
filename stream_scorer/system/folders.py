"""Folders that the system gives us: for the user's own files, and for temporary ones."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stream_scorer.errors import SettingsError


def users_own(variable: str, otherwise: str) -> Path:
    """`stream-scorer` in the folder that `variable` names, or else in `otherwise`, below the home directory.

    Raises SettingsError: there is no home directory, as in a container that runs as any user.
    """
    if named := os.environ.get(variable):
        return Path(named) / "stream-scorer"
    try:
        return Path.home() / otherwise / "stream-scorer"
    except RuntimeError as error:
        raise SettingsError(f"there is no home directory. Set {variable}, or HOME.") from error


def temporary(prefix: str) -> Path:
    """A new folder. Raises SettingsError: none can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise SettingsError(
            f"no temporary files can be made ({error.strerror or error}). Set TMPDIR to a folder that can be written and "
            "has room, or mount one at /tmp."
        ) from error
