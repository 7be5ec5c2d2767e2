"""Content types of the ModelOp API, and what they stand for [h]."""

from __future__ import annotations

MODEL = "application/vnd.fastscore.model-"
SCHEMA = "application/vnd.fastscore.schema-avro"
POLICY = "application/vnd.fastscore.import-policy-"

MODEL_TYPES = {
    MODEL + "python": "python",
    MODEL + "python3": "python3",
    MODEL + "pfa+json": "pfa-json",
    MODEL + "pfa-yaml": "pfa-yaml",
    MODEL + "pfa-pretty": "pfa-pretty",
    MODEL + "r": "R",
    MODEL + "java": "java",
    MODEL + "c": "c",
    MODEL + "m": "octave",
    MODEL + "h2o-java": "h2o-java",
    MODEL + "jupyter": "jupyter",
    MODEL + "sas": "sas",
}
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
    """The one of MODEL_TYPES that it is, an older name of one included; None otherwise."""
    plain = _plain(content_type)
    plain = _ALIASES.get(plain, plain)
    return plain if plain in MODEL_TYPES else None


def attachment_type(content_type: str, name: str) -> str | None:
    """The one of ATTACHMENT_TYPES, from the name where the header says nothing; None for another type."""
    plain = _plain(content_type)
    plain = _ATTACHMENT_ALIASES.get(plain, plain)
    if plain in ATTACHMENT_TYPES:
        return plain
    if plain in ("", "application/octet-stream", "application/json"):
        ends = {".zip": "application/zip", ".tar.gz": "application/gzip", ".tgz": "application/gzip"}
        return next((kind for end, kind in ends.items() if name.lower().endswith(end)), None)
    return None


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
