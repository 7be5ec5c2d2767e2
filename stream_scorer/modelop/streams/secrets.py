"""Fields that say secret://name: what they stand for is in a file. Section [f]."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.kinds import Transport

_PREFIX = "secret://"
_FIELDS = ("Principal", "AccessKeyID", "SecretAccessKey")
_FILES = ("Keytab",)
"""Fields that name a file: a secret stands for its place."""


def revealed(transport: Transport) -> dict[str, Any]:
    """The fields with secrets in their places. Raises DescriptorError."""
    found = dict(transport.fields)
    for name in (*_FIELDS, *_FILES):
        value = found.get(name)
        if isinstance(value, str) and value.startswith(_PREFIX):
            path = secret_path(value.removeprefix(_PREFIX))
            try:
                text = path.read_bytes()
            except OSError as error:
                raise DescriptorError(
                    f"Transport: {name}: the secret {path} cannot be read: {error.strerror}."
                ) from error
            found[name] = str(path) if name in _FILES else text.decode(errors="replace").rstrip("\r\n")
    return found


def secret_path(name: str) -> Path:
    """Of secret://name a file below SECRET_PATH_ROOT (/run/secrets); of secret:///path that path."""
    if name.startswith("/"):
        return Path(name)
    if not name or ".." in Path(name).parts:
        raise DescriptorError(f"Transport: secret://{name} names no secret.")
    return Path(os.environ.get("SECRET_PATH_ROOT", "/run/secrets")) / name
