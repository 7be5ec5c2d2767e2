"""Settings: defaults < TOML file < environment (STREAM_SCORER_...) < flags, checked before any socket opens.

A command has one frozen dataclass. Each field is a flag, a TOML key and an environment variable at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import tomllib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import did_you_mean, is_text
from stream_scorer.secret_text import note_url
from stream_scorer.settings.arguments import MAX_NUMBER
from stream_scorer.settings.pairs import content_of, to_map

ENV_PREFIX = "STREAM_SCORER_"
T = TypeVar("T")
PROPERTY = "KEY=VALUE"
"""Stands in the usage for a pair whose value may be a secret."""
_KINDS = {"dict": "a table", "list": "an array"}


def setting(
    default: Any,
    text: str,
    *,
    metavar: str = "",
    choices: tuple[str, ...] = (),
    low: float | None = None,
    from_file: bool = False,
) -> Any:
    """A dataclass field with its help text, allowed values and lower bound. A dict as default makes a KEY=VALUE setting.

    metavar: stands for the value in the usage (default: by the type of the field).
    from_file: the value may be secret, and `@FILE` is read from the file, as in KEY=VALUE settings.
    """
    metadata = {"help": text, "metavar": metavar, "choices": choices, "low": low, "from_file": from_file}
    if isinstance(default, dict):
        metadata["metavar"] = metavar or PROPERTY
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def add_flags(parser: argparse.ArgumentParser, cls: type) -> None:
    """Add one flag per field of `cls`. A flag that is not given does not appear in the namespace."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        flag = "--" + field.name.replace("_", "-")
        text, metavar = field.metadata["help"].replace("%", "%%"), field.metadata["metavar"]
        if hints[field.name] is bool:
            action = argparse.BooleanOptionalAction
            default = " (default: on)" if field.default else ""
            parser.add_argument(flag, action=action, default=argparse.SUPPRESS, help=text + default)
        elif _is_map(hints[field.name]):
            parser.add_argument(flag, action="append", metavar=metavar, default=argparse.SUPPRESS, help=text)
        else:
            default = "" if field.default in (None, "") else f" (default: {field.default})"
            metavar = metavar or "|".join(field.metadata["choices"]) or _metavar(hints[field.name])
            parser.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text + default)


def load(
    cls: type[T],
    flags: Mapping[str, Any],
    file: Path | None,
    env: Mapping[str, str] | None = None,
    *,
    others: type | None = None,
) -> T:
    """Merge defaults, file, environment and flags into one `cls`.

    Args:
        flags: values by field name; other names are ignored.
        env: None means the environment of this process.
        others: a dataclass of settings that the file may have as well, for another command; they are ignored.
    Raises:
        SettingsError: names the setting and where its value came from.
    """
    env = os.environ if env is None else env
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    ignored = {field.name for field in dataclasses.fields(others)} - fields.keys() if others else set()
    for name, raw, origin in [*_from_file(file, fields, ignored), *_from_env(env, fields), *_from_flags(flags, fields)]:
        value = _convert(raw, hints[name], fields[name], origin)
        values[name] = {**values.get(name, {}), **value} if _is_map(hints[name]) else value
    return cls(**values)


def _from_file(file: Path | None, fields: Mapping[str, Any], ignored: Set[str]) -> list[tuple[str, Any, str]]:
    if file is None:
        return []
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--config {file}: cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingsError(f"--config {file}: not TOML: {error}.") from error
    values = []
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in fields and name not in ignored:
            raise SettingsError(f"{file}: no setting {key!r}.{_nearest(name, [*fields, *ignored])}")
        if name in fields:
            values.append((name, value, f"{file}: {key}"))
    return values


def _from_env(env: Mapping[str, str], fields: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    return [(name, env[variable], variable) for name in fields if (variable := ENV_PREFIX + name.upper()) in env]


def _from_flags(flags: Mapping[str, Any], fields: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    return [(name, flags[name], "--" + name.replace("_", "-")) for name in fields if name in flags]


def _convert(raw: Any, kind: Any, field: Any, origin: str) -> Any:
    if isinstance(raw, str) and not is_text(raw):
        shown = "the value" if _is_map(kind) or "@" in raw else repr(raw)  # a URL may hold a password
        raise SettingsError(f"{origin}: {shown} is not text in UTF-8.")
    if _is_map(kind):
        return to_map(raw, origin, shown=field.metadata["metavar"] != PROPERTY)
    if field.metadata["from_file"] and isinstance(raw, str):
        raw = content_of(raw.strip(), origin)
    if raw == "" and field.default is None:  # compose files and charts pass an unset variable as an empty text
        return None
    note_url(str(raw))
    try:
        value = _to_scalar(raw, kind)
    except ValueError as error:
        raise SettingsError(f"{origin}: {error}.") from error
    choices, low = field.metadata["choices"], field.metadata["low"]
    if choices and value not in choices:
        raise SettingsError(f"{origin}: {value!r} is not one of {', '.join(choices)}.{_nearest(str(value), choices)}")
    if low is not None and value < low:
        raise SettingsError(f"{origin}: {value} is below {low}.")
    if isinstance(value, int | float) and value > MAX_NUMBER:
        raise SettingsError(f"{origin}: {value} is above {MAX_NUMBER:,}.")
    return value


def _to_scalar(raw: Any, kind: Any) -> Any:
    base = next(
        (part for part in (bool, int, float, Path) if part is kind or part in getattr(kind, "__args__", ())), str
    )
    if base is bool:
        if isinstance(raw, bool):
            return raw
        if str(raw).lower() in ("1", "true", "yes", "on"):
            return True
        if str(raw).lower() in ("0", "false", "no", "off"):
            return False
        raise ValueError(f"{raw!r} is neither true nor false")
    if isinstance(raw, dict | list | bool):
        raise ValueError(f"{_KINDS.get(type(raw).__name__, raw)} is not one value")
    if base is int and isinstance(raw, float) and not raw.is_integer():
        raise ValueError(f"{raw!r} is not a whole number")
    if "\0" in str(raw):
        raise ValueError("the value has a null byte in it")
    try:
        value = base(raw)
    except (ValueError, OverflowError):
        raise ValueError(f"{raw!r} is not a number") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{raw!r} is not a finite number")
    return value


def _is_map(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is dict


def _metavar(kind: Any) -> str:
    names = {int: "N", float: "SECONDS", Path: "FILE"}
    return next((names[part] for part in names if part is kind or part in getattr(kind, "__args__", ())), "TEXT")


def _nearest(name: str, names: Iterable[str]) -> str:
    """The nearest of `names`, or all of them, to be added to an error text."""
    return did_you_mean(name, names := list(names)) or f" There are: {', '.join(sorted(names))}."
