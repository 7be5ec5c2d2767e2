"""Transport fields of the form secret://NAME stand for the content of a file (rule `f.secrets`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.transport_kinds import Transport
from stream_scorer.secret_text import Secret, is_secret, note_url

_PREFIX = "secret://"
_FIELDS = ("Principal", "AccessKeyID", "SecretAccessKey")
_FILES = ("Keytab",)
"""Fields that name a file: the secret's path replaces them, not its content."""


def revealed(transport: Transport) -> dict[str, Any]:
    """Return the fields, secrets replaced by their text. Raises DescriptorError."""
    fields = dict(transport.fields)
    note_url(str(fields.get("Url")))
    for name in (*_FIELDS, *_FILES):
        value = fields.get(name)
        if isinstance(value, str) and value.startswith(_PREFIX):
            path = secret_path(value.removeprefix(_PREFIX))
            try:
                text = path.read_bytes()
            except OSError as error:
                raise DescriptorError(
                    f"Transport: {name}: the secret {path} cannot be read: {error.strerror}."
                ) from error
            fields[name] = str(path) if name in _FILES else Secret(text.decode(errors="replace").rstrip("\r\n"))
        elif isinstance(value, str) and is_secret(name):
            fields[name] = Secret(value)
    return fields


def secret_path(name: str) -> Path:
    """Return the file of secret://NAME, below SECRET_PATH_ROOT (/run/secrets); secret:///PATH is that path."""
    if name.startswith("/"):
        return Path(name)
    if not name or ".." in Path(name).parts:
        raise DescriptorError(f"Transport: secret://{name} names no secret.")
    return Path(os.environ.get("SECRET_PATH_ROOT", "/run/secrets")) / name
