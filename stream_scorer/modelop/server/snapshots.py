"""Snapshots on the wire: metadata and contents as two parts of multipart/mixed."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from stream_scorer.modelop.server import multipart
from stream_scorer.modelop.server.answers import HttpError

_LETTERS = string.ascii_lowercase + string.digits


def new_id() -> str:
    """8 lower-case letters and digits [k]."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))


def as_multipart(metadata: Mapping[str, Any], contents: bytes) -> tuple[bytes, str]:
    """(body, Content-Type)."""
    boundary = secrets.token_hex(12)
    parts = (
        ("x-metadata", "application/json", json.dumps(metadata).encode()),
        ("x-contents", "application/octet-stream", contents),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: {kind}\r\nContent-Type: {type_}\r\n\r\n".encode() + data + b"\r\n"
        for kind, type_, data in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/mixed; boundary={boundary}"


def contents_of(body: bytes, content_type: str) -> bytes:
    """The contents of a snapshot that was put: the last part that is no JSON metadata, or the whole body."""
    if not multipart.value_of(content_type).startswith("multipart/"):
        return body
    parts = multipart.parse(body, content_type)
    found = [
        part.body for part in parts if multipart.value_of(part.headers.get("content-type", "")) != "application/json"
    ]
    if not found:
        raise HttpError(400, "a snapshot needs a part with its contents beside the metadata")
    return found[-1]


def date_range(text: str) -> tuple[datetime | None, datetime | None]:
    """`A--B`, either may be missing; a B without a time is that whole day. Raises HttpError 400."""
    if not text:
        return None, None
    first, dashes, last = text.partition("--")
    if not dashes:
        raise HttpError(400, f"date-range {text!r} is not of the form A--B")
    return _moment(first), _moment(last, end=True)


def _moment(text: str, *, end: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        # A plus sign that a client did not escape has come as a blank.
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    except ValueError as error:
        raise HttpError(400, f"date-range: {text!r} is no date or time of ISO 8601") from error
    if end and "T" not in text and found.time() == time():
        found += timedelta(days=1, microseconds=-1)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
