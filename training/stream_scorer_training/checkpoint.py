"""Saves the whole state of a training in one file, so that it continues after a kill. The file is replaced atomically."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from stream_scorer.errors import SettingsError
from stream_scorer_training.trainer import Floats, State

_PARTS = ("weights", "means", "squares")


class Checkpoint:
    """The file of one training.

    Args:
        path: of the file; its folder is made.
        settings: all that the result depends on. A file that was made with other settings is ignored, and later replaced.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def load(self, most: int) -> tuple[State, list[float]] | None:
        """Return the saved state and the losses so far; None: no file, other settings, or more than `most` iterations.

        Raises SettingsError: the file is not a checkpoint.
        """
        try:
            with np.load(io.BytesIO(self._path.read_bytes())) as file:
                if str(file["key"]) != self._key or int(file["done"]) > most:
                    return None
                counts = range(int(file["count"]))
                parts = [[file[f"{part}_{at}"] for at in counts] for part in _PARTS]
                return State(int(file["done"]), *parts), file["losses"].tolist()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise SettingsError(
                f"{self._path}: expected the checkpoint of a training ({error}). Delete the file to start anew."
            ) from error

    def save(self, state: State, losses: list[float]) -> None:
        """Write state and losses. Blocks until they are on the disk. Raises OSError."""
        arrays: dict[str, Any] = {"key": self._key, "done": state.done, "count": len(state.weights)}
        for part in _PARTS:
            arrays |= {f"{part}_{at}": np.asarray(array) for at, array in enumerate(getattr(state, part))}
        # float64, although the device's losses are float32: the report averages them as Python's floats.
        buffer = io.BytesIO()
        np.savez(buffer, losses=np.array(losses, np.float64), **arrays)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def remove(self) -> None:
        """Delete the file, if it exists."""
        self._path.unlink(missing_ok=True)


def digest(series: Floats) -> str:
    """Return the sha256 of a series as training sees it, float32."""
    return hashlib.sha256(np.ascontiguousarray(series, np.float32).tobytes()).hexdigest()
