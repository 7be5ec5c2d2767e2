"""Models for Model Manage and engines: their types, and the request to load one."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.model.trust import CHECKED, Trust
from stream_scorer.modelop.client.fleet_client import Service, quoted
from stream_scorer.modelop.client.items import read_bytes

PREFIX = "application/vnd.fastscore.model-"
TYPES = {
    "python": "python",
    "python3": "python3",
    "pfa-json": "pfa+json",
    "pfa-yaml": "pfa-yaml",
    "pfa-pretty": "pfa-pretty",
    "h2o-java": "h2o-java",
    "R": "r",
    "java": "java",
    "c": "c",
    "octave": "m",
    "jupyter": "jupyter",
    "sas": "sas",
}
"""Type of a model as people write it -> suffix of its Content-Type."""
_EXTENSIONS = {
    ".py": "python",
    ".py3": "python3",
    ".pfa": "pfa-json",
    ".json": "pfa-json",
    ".yaml": "pfa-yaml",
    ".ppfa": "pfa-pretty",
    ".R": "R",
    ".java": "java",
    ".c": "c",
    ".m": "octave",
    ".ipynb": "jupyter",
    ".sas": "sas",
}
SCHEMA_TYPE = "application/vnd.fastscore.schema-avro"
POLICY_PREFIX = "application/vnd.fastscore.import-policy-"
_ARCHIVES = {".zip": "application/zip", ".tar.gz": "application/gzip", ".tgz": "application/gzip"}


def model_type(name: str | None, file: Path | None, source: bytes) -> str:
    """Return the Content-Type of a model: as given, or by the file's extension, or by the source.

    Raises SettingsError.
    """
    if name is not None:
        names = {known.lower(): known for known in TYPES}
        if name.lower() not in names:
            raise SettingsError(f"-type:{name} is not a type of model. There are: {', '.join(TYPES)}.")
        return PREFIX + TYPES[names[name.lower()]]
    if file is not None:
        if file.suffix not in _EXTENSIONS:
            raise SettingsError(f"{file}: the extension does not show the model's type. Give -type:python3 or another.")
        return PREFIX + TYPES[_EXTENSIONS[file.suffix]]
    if re.search(rb"^\s*def\s+\w+\(", source, re.MULTILINE):
        return PREFIX + TYPES["python"]
    raise SettingsError("the source does not show the model's type. Give -type:python3 or another.")


def attachment_type(name: str) -> str:
    """Return the Content-Type of an attachment by its extension. Raises SettingsError."""
    content_type = archive_type(name)
    if content_type is None:
        raise SettingsError(f"{name}: an attachment is an archive, {', '.join(_ARCHIVES)}.")
    return content_type


def archive_type(name: str) -> str | None:
    """Return the Content-Type of an archive by its extension; None if it is not that of an archive."""
    return next((kind for suffix, kind in _ARCHIVES.items() if name.lower().endswith(suffix)), None)


def load(
    manage: Service,
    engine: Service,
    name: str,
    override: Path | None,
    schemas: Mapping[str, str],
    *,
    dry_run: bool,
    trust: Trust = CHECKED,
) -> bytes:
    """Load a model of Model Manage into an engine, which fetches the attachments itself. Return the answer's body.

    Args:
        override: an archive to send in place of the attachments, as the one named override.
        schemas: JSON text by name, to send with the model.
        trust: what is asked of the override.

    Raises:
        Refused: as `call` does.
    """
    model = manage.call("GET", f"/1/model/{quoted(name)}", subject=f"model {name!r}")
    kind = model.headers.get("content-type", PREFIX + "python3")
    parts: list[tuple[str, str, bytes]] = []
    if override is not None:
        head = 'attachment; filename="override"'
        parts.append((head, attachment_type(override.name), read_bytes(override, trust)))
    else:
        listed = manage.get(f"/1/model/{quoted(name)}/attachment", subject=f"attachments of {name!r}")
        parts += [_reference(manage, name, attachment) for attachment in listed]
    parts += [(f'x-schema; name="{schema}"', SCHEMA_TYPE, text.encode()) for schema, text in schemas.items()]
    disposition = f'x-model; name="{name}"'
    if parts:
        body, content_type = _multipart([*parts, (disposition, kind, model.body)])
        headers = {"Content-Type": content_type}
    else:
        body, headers = model.body, {"Content-Type": kind, "Content-Disposition": disposition}
    query = {"dry-run": str(dry_run)}
    return engine.call("PUT", "/1/job/model", body, subject=f"model {name!r}", query=query, headers=headers).body


def _reference(manage: Service, model: str, name: str) -> tuple[str, str, bytes]:
    subject = f"attachment {name!r} of {model!r}"
    headers = manage.call("HEAD", f"/1/model/{quoted(model)}/attachment/{quoted(name)}", subject=subject).headers
    kind = f'message/external-body; access-type=x-model-manage; ref="urn:fastscore:attachment:{model}:{name}"'
    inner = f"Content-Type: {headers['content-type']}\r\nContent-Length: {headers['content-length']}\r\n\r\n"
    return f'attachment; filename="{name}"', kind, inner.encode()


def _multipart(parts: list[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(12)
    body = b"".join(
        f"\r\n--{boundary}\r\nContent-Disposition: {head}\r\nContent-Type: {kind}\r\n\r\n".encode() + data
        for head, kind, data in parts
    )
    return body + f"\r\n--{boundary}--\r\n".encode(), f"multipart/mixed; boundary={boundary}"


def json_of(body: bytes) -> dict[str, Any]:
    """Return the answer to a dry run, parsed. Raises SettingsError."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise SettingsError(f"the engine's answer is not JSON: {body[:80]!r}") from error
    return answer if isinstance(answer, dict) else {}
