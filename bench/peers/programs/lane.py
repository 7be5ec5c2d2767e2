"""What the Python programs share: their task, the double on the wire, and the two jobs' models.

Imports nothing at the top that an environment of a peer may lack.
"""

from __future__ import annotations

import os
import struct
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

STEPS = 30
ATTACHMENT = Path(__file__).parents[3] / "stream_scorer" / "models" / "attachment.tar.gz"
_DOUBLE = struct.Struct("<d")


@dataclass(frozen=True)
class Task:
    """Input topic, output topic and job; every program reads it from its environment."""

    servers: str
    source: str
    target: str
    job: str

    @property
    def group(self) -> str:
        """Also the transactional id. Topics are new in each run, so it is never shared."""
        return self.target

    def environment(self) -> dict[str, str]:
        """As `task` finds it."""
        return {f"PEER_{name.upper()}": value for name, value in asdict(self).items()}


def task() -> Task:
    return Task(**{name: os.environ[f"PEER_{name.upper()}"] for name in Task.__dataclass_fields__})


def decode(value: bytes) -> float:
    return float(_DOUBLE.unpack(value)[0])


encode = _DOUBLE.pack


class Model(Protocol):
    """A job's model. A window is a list of the last values, at most 30; it is never changed in place."""

    def step(self, window: list[float], value: float) -> tuple[list[float], float | None]:
        """One value: the new window, and its score once it is full."""

    def predict(self, windows: list[list[float]]) -> list[float]:
        """The scores of full windows; `push` makes them."""


def push(window: list[float], value: float) -> list[float]:
    return [*window, value][-STEPS:]


def model(job: str) -> Model:
    return {"mean": Mean, "lstm": Lstm}[job]()


class Mean:
    def step(self, window: list[float], value: float) -> tuple[list[float], float | None]:
        window = push(window, value)
        return window, sum(window) / STEPS if len(window) == STEPS else None

    def predict(self, windows: list[list[float]]) -> list[float]:
        return [sum(window) / STEPS for window in windows]  # arrays would only cost here


class Lstm:
    """The shipped module itself: `action` with its rolling shortcut one by one, or its `predict` on a batch.

    TensorFlow's threads are as the service sets them; the attachment is unpacked into the working directory,
    as a ModelOp engine does.
    """

    def __init__(self) -> None:
        for name, count in {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}.items():
            os.environ.setdefault(name, count)
        with tarfile.open(ATTACHMENT) as archive:
            archive.extractall(filter="data")
        from stream_scorer.models import tf_sp500_lstm

        self._module: Any = tf_sp500_lstm
        self._module.begin()

    def step(self, window: list[float], value: float) -> tuple[list[float], float | None]:
        self._module.past_days = window
        score = next(self._module.action(value), None)
        return self._module.past_days, score

    def predict(self, windows: list[list[float]]) -> list[float]:
        import numpy as np

        scores: list[float] = self._module.predict(np.reshape(windows, (-1, STEPS, 1)))[:, 0, 0].tolist()
        return scores
