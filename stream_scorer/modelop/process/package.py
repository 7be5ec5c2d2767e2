"""A model as a client sends it to an engine."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream_scorer.model.annotations import Annotations
from stream_scorer.model.program import Program, compile_program


@dataclass(frozen=True)
class ModelPackage:
    """name: as the client calls it. mtype: "python3" or "python". source: the bytes of the module's file.

    attachments: (file name, content or a file that holds it). schemas: parsed Avro JSON by name, of the schemas that
    came with the model.
    """

    name: str
    mtype: str = "python3"
    source: bytes = b""
    attachments: tuple[tuple[str, bytes | Path], ...] = ()
    schemas: dict[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """A name for the module's file that every file system accepts."""
        stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in self.name).strip(".")
        return f"{stem.removesuffix('.py') or 'model'}.py"

    def program(self, folder: Path = Path()) -> Program:
        """Compile the source as the module's file in a folder, without executing it. Raises ModelError."""
        return compile_program(self.source, folder / self.file_name)

    @functools.cached_property  # the program itself is not kept: it takes 50 times the memory of its source
    def annotations(self) -> Annotations:
        """The smart comments. Compiles the source at the first call. Raises ModelError."""
        return self.program().annotations
