"""The Avro schemas that come with the package: schemas/ of the checkout, or inside the wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDERS = tuple(Path(__file__).parents[up] / "schemas" for up in (1, 2))


def shipped_schema(name: str) -> Any:
    """The parsed JSON of schemas/NAME.avsc."""
    path = next(folder / f"{name}.avsc" for folder in _FOLDERS if (folder / f"{name}.avsc").is_file())
    return json.loads(path.read_text())
