"""A module file, read and compiled, to be executed later. All programs that run models use it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import traceback
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model import compat
from stream_scorer.model.annotations import Annotations, parse
from stream_scorer.model.compat import python2


@dataclass(frozen=True)
class Program:
    """data: the file's bytes. sha256: of these, in hex. source: its text. code: its compiled form, for `exec`."""

    path: Path
    data: bytes
    sha256: str
    source: str
    code: types.CodeType
    annotations: Annotations

    @property
    def name(self) -> str:
        return self.path.stem

    def execute(self, entries: Iterable[str]) -> dict[str, Any]:
        """Run the module body and return its namespace. Raises whatever the body raises.

        Args:
            entries: names of the functions that will be called from outside.
        """
        module = types.ModuleType(self.name)
        module.__file__ = str(self.path)
        sys.modules.setdefault(self.name, module)  # dataclasses and pickles look their module up by name
        quiet_tensorflow()
        compat.execute(self.code, module.__dict__, self.source, self.annotations.compat, entries)
        return module.__dict__

    def line_of(self, error: BaseException) -> int | None:
        """The innermost line of the module in the traceback; None if the error passed none."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self.path)]
        return lines[-1] if lines else None


def read_program(path: Path) -> Program:
    """Reads and compiles a file. Raises ModelError: it cannot be read, is not Python 3, or has a wrong smart comment."""
    try:
        code = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Give the path of a Python module.") from error
    return compile_program(code, path)


def compile_program(code: bytes, path: Path) -> Program:
    """Compiles the bytes of a file. path: its name in errors and tracebacks. Raises ModelError as `read_program`."""
    try:
        source = importlib.util.decode_source(code)  # by the encoding that its first lines declare
        source.encode()  # not every encoding keeps out halves of surrogate pairs
        program = compile(code, str(path), "exec", dont_inherit=True)
    except (RecursionError, MemoryError, OverflowError) as error:  # what Python's own parser raises on 10,000 brackets
        raise ModelError(f"{path}: cannot be compiled: its code is nested too deep, or too large.") from error
    except (SyntaxError, ValueError, LookupError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ModelError(
            f"{path}:{line}: not Python {sys.version_info.major}.{sys.version_info.minor}: {error}."
            + python2.advice(code.decode(errors="replace"), error)
        ) from error
    return Program(path, code, hashlib.sha256(code).hexdigest(), source, program, parse(source, str(path)))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What reads the code of the file in the block goes down into it. Raises ModelError: it is nested too deep for that."""
    try:
        yield
    except RecursionError as error:
        raise ModelError(
            f"{path}: its code is nested too deep to be read, as in an expression of 2,000 terms. Make several statements of it."
        ) from error


def quiet_tensorflow() -> None:
    """TensorFlow with one thread per operation and no banner, unless the environment says otherwise.

    More threads in one operation waste CPU at these sizes. More workers use the cores better.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
