"""Snapshots in requests and responses: metadata and contents as two parts of multipart/mixed."""

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
    """Return an id of 8 lower-case letters and digits (rule `k.snapshots`)."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))


def as_multipart(metadata: Mapping[str, Any], contents: bytes) -> tuple[bytes, str]:
    """Return body and Content-Type of a snapshot."""
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
    """Return the contents of a snapshot: the last part that is not the JSON metadata, or the whole body.

    Raises HttpError 400.
    """
    if not multipart.value_of(content_type).startswith("multipart/"):
        return body
    parts = multipart.parse(body, content_type)
    contents = [
        part.body for part in parts if multipart.value_of(part.headers.get("content-type", "")) != "application/json"
    ]
    if not contents:
        raise HttpError(400, "a snapshot needs a part with its contents beside the metadata")
    return contents[-1]


def date_range(text: str) -> tuple[datetime | None, datetime | None]:
    """Return the range `A--B`, either of which may be missing. A date B includes that day. Raises HttpError 400."""
    if not text:
        return None, None
    first, dashes, last = text.partition("--")
    if not dashes:
        raise HttpError(400, f"date-range {text[:60]!r} is not of the form A--B")
    return _moment(first), _moment(last, whole_day=True)


def _moment(text: str, *, whole_day: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        # A plus sign that a client has not escaped arrives as a blank.
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        if whole_day and "T" not in text and moment.time() == time():
            moment += timedelta(days=1, microseconds=-1)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError as error:
        raise HttpError(400, f"date-range: {text[:60]!r} is not a date or time of ISO 8601") from error
    except OverflowError as error:
        raise HttpError(400, f"date-range: {text[:60]!r} is not within the years 1 to 9999 of UTC") from error
