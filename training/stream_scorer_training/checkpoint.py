"""Training that goes on where it was killed: its whole state in one file, replaced at once or not at all."""

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
    """One file for one run of training.

    Args:
        path: of the file; its folder is made.
        settings: all that the result depends on. A file made with others is passed over, and replaced in time.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def load(self, most: int) -> tuple[State, list[float]] | None:
        """The state after at most `most` iterations and the losses so far, or None. Raises SettingsError: not readable."""
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
                f"{self._path}: is no checkpoint of a training ({error}). Delete it to begin anew."
            ) from error

    def save(self, state: State, losses: list[float]) -> None:
        arrays: dict[str, Any] = {"key": self._key, "done": state.done, "count": len(state.weights)}
        for part in _PARTS:
            arrays |= {f"{part}_{at}": np.asarray(one) for at, one in enumerate(getattr(state, part))}
        # Losses are float32 on the device; the file keeps what the report averages.
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
        self._path.unlink(missing_ok=True)


def digest(series: Floats) -> str:
    """Of a series as it is trained on."""
    return hashlib.sha256(np.ascontiguousarray(series, np.float32).tobytes()).hexdigest()
