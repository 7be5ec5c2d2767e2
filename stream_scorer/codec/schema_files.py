"""Avro schemas in files: those that a model names, and those that come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES, Schema, make_schema
from stream_scorer.codec.schema_rules import checked_schema
from stream_scorer.errors import ModelError

_SHIPPED = tuple(Path(__file__).parents[up] / "schemas" for up in (1, 2))  # in the wheel, in a checkout


def load_schema(
    name: str, files: Mapping[str, Path], folder: Path, contents: Mapping[str, bytes] | None = None
) -> Schema:
    """The schema called `name`: the file that `files` gives, else NAME.avsc or NAME in `folder`, else a primitive type.

    contents: the files of `folder` by name, if they have been read before and are not to be read again.

    Raises ModelError: there is no such file, or no Avro schema in it.
    """
    beside = [folder / f"{name}.avsc", folder / name]
    places = [files[name]] if name in files else beside
    try:
        if name not in files and contents is not None:
            known = {folder / file: data for file, data in contents.items()}
            path = next((place for place in places if place in known), None)
            text = known[path] if path else b""
        else:
            path = next((place for place in places if place.is_file()), None)
            text = path.read_bytes() if path else b""
    except OSError as error:
        raise ModelError(f"schema {name[:200]!r}: cannot be read ({error.strerror}).") from error
    if path is None:
        if name in PRIMITIVES and name not in files:
            return make_schema(name, name)
        raise ModelError(
            f"schema {name!r}: no file {' or '.join(map(str, places))}, and no Avro primitive has that name. "
            f"Give it by --schema {name}=FILE.avsc."
        )
    try:
        return checked_schema(name, json.loads(text.decode()))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"schema {name!r}: {path} is not an Avro schema: {type(error).__name__}: {error}.") from error


def shipped_schema(name: str) -> Any:
    """The parsed JSON of schemas/NAME.avsc, which comes with the package."""
    path = next(folder / f"{name}.avsc" for folder in _SHIPPED if (folder / f"{name}.avsc").is_file())
    return json.loads(path.read_text())
