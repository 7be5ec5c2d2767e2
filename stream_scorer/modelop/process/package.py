"""A model as an engine is given it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream_scorer.model.program import Program, compile_program


@dataclass(frozen=True)
class ModelPackage:
    """name: as the client calls it. mtype: "python3" or "python". source: of the file, as it came.

    attachments: (file name, content or a file that holds it). schemas: parsed Avro JSON of the schemas that
    came with the model, by name.
    """

    name: str
    mtype: str = "python3"
    source: bytes = b""
    attachments: tuple[tuple[str, bytes | Path], ...] = ()
    schemas: dict[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """A name for the module's file that any file system takes."""
        stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in self.name).strip(".")
        return f"{stem.removesuffix('.py') or 'model'}.py"

    def program(self, folder: Path = Path()) -> Program:
        """Compiled, not executed, as the module's file in a folder. Raises ModelError."""
        return compile_program(self.source, folder / self.file_name)
