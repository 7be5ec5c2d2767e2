"""Outputs of a call that takes long: they go to the engine before the call has returned.

A generator may yield for ever, or once and then wait. What it has yielded is delivered all the same, in parts.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from stream_scorer.modelop.process.frames import Channel, pack_outputs
from stream_scorer.modelop.process.outputs import Outputs
from stream_scorer.modelop.process.results import CallResult

LOOK_S = 0.5
"""How often a thread looks whether the model is still at the same record. Then its outputs are handed on. Outputs of a batch
of short calls stay together."""


class Parts:
    """`of` the outputs of a model, then for each request `call_begins` and, around its answer, `last`.

    Sending blocks while the engine does not read: so the model waits when nobody takes its outputs.
    """

    def __init__(self, control: Channel, progress: Any) -> None:
        self._control, self._progress = control, progress
        self._outputs: Outputs | None = None
        self._lock = threading.Lock()  # parts and the answer go in the order in which they were taken
        self._calls = 0
        self._in_call = False

    def of(self, outputs: Outputs) -> None:
        """Begin to hand on outputs, by a thread of its own."""
        self._outputs = outputs
        outputs.hand_on = self._hand_on
        threading.Thread(target=self._look, name="parts", daemon=True).start()

    def call_begins(self) -> None:
        self._calls += 1
        self._in_call = True

    @contextlib.contextmanager
    def last(self) -> Iterator[None]:
        """Within the block the answer is sent. No part follows it."""
        with self._lock:
            self._in_call = False
            yield

    def _hand_on(self) -> None:
        with self._lock:
            if self._outputs is None or not self._in_call:
                return
            outputs = self._outputs.take_part()
            if outputs:
                self._control.send({"do": "write", **CallResult().to_json()}, pack_outputs(outputs))

    def _look(self) -> None:
        seen = None
        with contextlib.suppress(OSError):  # the engine is gone
            while True:
                threading.Event().wait(LOOK_S)
                now = self._calls, self._progress[0]
                if self._in_call and now == seen:
                    self._hand_on()
                seen = now
