"""Content types of the ModelOp API, and what they stand for."""

from __future__ import annotations

from stream_scorer.modelop.client import models
from stream_scorer.modelop.server.multipart import value_of

MODEL, SCHEMA, POLICY = models.PREFIX, models.SCHEMA_TYPE, models.POLICY_PREFIX
MODEL_TYPES = {MODEL + suffix: name for name, suffix in models.TYPES.items()}
_ALIASES = {
    MODEL + "python2": MODEL + "python",
    "application/x-python": MODEL + "python",
    "text/x-python": MODEL + "python",
    MODEL + "pfa-json": MODEL + "pfa+json",
}
RUN_HERE = ("python", "python3")
ATTACHMENT_TYPES = {"application/zip": "zip", "application/gzip": "tgz"}
_ATTACHMENT_ALIASES = {
    "application/x-gzip": "application/gzip",
    "application/x-tar": "application/gzip",
    "application/tar+gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
}


def model_type(content_type: str) -> str | None:
    """Return the Content-Type of MODEL_TYPES that it stands for, older names included; None if there is none."""
    plain = value_of(content_type)
    plain = _ALIASES.get(plain, plain)
    return plain if plain in MODEL_TYPES else None


def attachment_type(content_type: str, name: str) -> str | None:
    """Return the Content-Type of ATTACHMENT_TYPES, by the file name if the header does not say it; None for others."""
    plain = value_of(content_type)
    plain = _ATTACHMENT_ALIASES.get(plain, plain)
    if plain in ATTACHMENT_TYPES:
        return plain
    if plain in ("", "application/octet-stream", "application/json"):
        return models.archive_type(name)
    return None
