"""Names that clients give: of models, schemas, streams, snapshots and files."""

from __future__ import annotations

import unicodedata

from stream_scorer.modelop.server.answers import HttpError

MAX_BYTES = 255
"""Of a name in UTF-8: no file system takes more."""


def check_name(name: str, what: str) -> str:
    """Return the name. `what` says what it names. Raises HttpError 400."""
    reason = _problem(name)
    if reason:
        raise HttpError(400, f"{what} {name[:60]!a} {reason}")
    return name


def check_file_name(name: str) -> str:
    """Return the name of an attachment, which becomes a file in the model's directory. Raises HttpError 400."""
    check_name(name, "attachment name")
    if not name or name in (".", "..") or any(letter in name for letter in "/\\"):
        raise HttpError(400, f"attachment name {name!r} is not a plain file name")
    return name


def _problem(name: str) -> str:
    for letter in name if not name.isprintable() else "":
        kind = unicodedata.category(letter)
        if kind == "Cc":
            return f"has the control character U+{ord(letter):04X}"
        if kind == "Cs":
            return "has half of a surrogate pair, which no encoding of text has"
    size = len(name.encode())
    return f"has {size:,} bytes; a name has at most {MAX_BYTES}" if size > MAX_BYTES else ""
