"""Limits of a jet: time of calls and memory."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """None: no limit.

    call_s: seconds for each record (for a record set, for the whole call).
    start_s: seconds for the module body, and for `begin`.
    memory: bytes of memory the model's process may write to.
    """

    call_s: float | None = None
    start_s: float | None = None
    memory: int | None = None

    def apply(self) -> None:
        """Set the limits of this process: the jet's, before the model's code runs."""
        # When the machine runs out of memory, the system ends the jet and not the engine.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
        if self.memory is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_DATA, (self.memory, self.memory))
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
