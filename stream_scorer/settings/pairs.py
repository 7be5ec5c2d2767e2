"""KEY=VALUE pairs of a setting. Their values may be secrets, so no error text has a value in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import is_text
from stream_scorer.secret_text import Secret, is_secret, note_url

MAX_FILE = 1 << 20
"""Bytes of a file that @FILE names: more is no password and no key."""


def to_map(raw: Any, origin: str, *, shown: bool = False) -> dict[str, str]:
    """Parse KEY=VALUE pairs: a TOML table, a list with one pair an item, or a text with several pairs.

    In a text, a comma or a line end separates pairs; `\\,` is a comma within a value, `\\\\` a backslash. A value `@FILE`
    is replaced by the content of the file, so that secrets stay out of `ps`; a value `@@...` begins with one @. What comes
    from a file, and what has the key of a secret, becomes a `Secret`.
    Raises SettingsError, whose text begins with `origin`.

    Args:
        shown: an error text may repeat a pair that is not KEY=VALUE.
    """
    found = {}
    for number, (key, value) in enumerate(_pairs(raw, origin, shown=shown), 1):
        if not is_text(key + value) or "\0" in key + value:
            raise SettingsError(f"{origin}: pair {number} is not text in UTF-8, or has a null byte in it.")
        found[key] = _value(key, value, origin, may_be_secret=not shown)
    return found


def _pairs(raw: Any, origin: str, *, shown: bool) -> Iterator[tuple[str, str]]:
    if isinstance(raw, dict):
        for key, value in _flat(raw):
            if isinstance(value, list):
                raise SettingsError(f"{origin}: {key}: expected one value, found an array.")
            yield key.strip(), (str(value).lower() if isinstance(value, bool) else str(value)).strip()
        return
    in_text = not isinstance(raw, list)
    for number, item in enumerate(_split(str(raw)) if in_text else raw, 1):
        key, equals, value = str(item).partition("=")
        if not equals or not key.strip():
            # It may be a password without its key, or what follows a comma in one.
            name = repr(item) if shown and number == 1 and is_text(str(item)) else f"pair {number}"
            more = " A comma within a value is written \\," if in_text and number > 1 else ""
            raise SettingsError(f"{origin}: {name} is not KEY=VALUE.{more}")
        yield key.strip(), value.strip()


def _split(text: str) -> list[str]:
    """Split a text into pairs, and remove the backslashes that protect commas."""
    items = re.findall(r"(?:\\[\\,]|[^,\n])+", text)
    return [re.sub(r"\\([\\,])", r"\1", item) for item in items if item.strip()]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Join the keys that TOML takes apart: it reads `sasl.username = "x"` as a table within a table."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _value(key: str, value: str, origin: str, *, may_be_secret: bool) -> str:
    note_url(value)
    names_file = value.startswith("@") and not value.startswith("@@")
    value = content_of(value, f"{origin}: {key}")
    if names_file:
        return Secret(value)
    if may_be_secret and is_secret(key):
        return Secret(value)
    if key.endswith((".location", ".keytab")) and Path(value).is_file():
        return str(Path(value).absolute())
    return value


def content_of(value: str, where: str) -> str:
    """What `@FILE` stands for: the file's text. `@@...` stands for `@...`, and any other value for itself.

    Raises SettingsError, whose text begins with `where`.
    """
    if not value.startswith("@") or value.startswith("@@"):
        return value.removeprefix("@")
    path = Path(file := value[1:])
    # A name without a folder may as well be a password that begins with @.
    shown = path.is_absolute() or (path.name != file and path.parent.is_dir())
    name = f"the file {file}" if shown else "the file that @ names"
    more = "" if shown else " Its name is not shown. A value that itself begins with @ is written @@."
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
        text = data.decode()
    except OSError as error:
        raise SettingsError(f"{where}: {name} cannot be read ({error.strerror}).{more}") from None
    except ValueError:
        raise SettingsError(f"{where}: {name} is not text in UTF-8.") from None
    if len(data) > MAX_FILE or "\0" in text:
        raise SettingsError(f"{where}: {name} has more than {MAX_FILE:,} bytes, or a null byte.")
    return text.strip()
