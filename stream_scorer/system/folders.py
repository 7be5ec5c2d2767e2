"""Folders of the operating system: the user's own, and temporary ones."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stream_scorer.errors import SettingsError


def user_folder(variable: str, default: str) -> Path:
    """The folder `stream-scorer` in the folder that the variable names; without it, in `default` below the home directory.

    Raises SettingsError if there is no home directory, as in a container that runs as an unknown user.
    """
    if named := os.environ.get(variable):
        return Path(named) / "stream-scorer"
    try:
        return Path.home() / default / "stream-scorer"
    except RuntimeError as error:
        raise SettingsError(f"there is no home directory. Set {variable}, or HOME.") from error


def new_temporary_folder(prefix: str) -> Path:
    """Create a temporary folder. Raises SettingsError if that fails."""
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise SettingsError(
            f"no temporary files can be made ({error.strerror or error}). Set TMPDIR to a writable folder with "
            "free space, or mount one at /tmp."
        ) from error
