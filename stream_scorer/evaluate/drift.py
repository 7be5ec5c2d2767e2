"""Are the inputs now as they were? The two-sample Kolmogorov-Smirnov statistic."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from stream_scorer.errors import SettingsError

MIN_INPUTS = 30
"""Inputs before anything is said: of fewer the statistic is large by chance."""


class Drift:
    """The last inputs against a reference sample. Adding is the loop's; reading is safe from any thread.

    Args:
        window: how many of the last inputs.
        reference: None: the first `window` inputs that are added.
    Raises:
        SettingsError: scipy is not installed.
    """

    def __init__(self, window: int, reference: Sequence[float] | None) -> None:
        try:
            # Here and not at the first question: a service that cannot answer should say so as it starts.
            from scipy.stats import ks_2samp
        except ModuleNotFoundError as error:
            raise SettingsError("--evaluate needs scipy: pip install 'stream-scorer[evaluate]'.") from error
        self._ks_2samp = ks_2samp
        self._lock = threading.Lock()
        self._last = np.zeros(window)
        self._seen = 0
        self._first: list[float] | None = [] if reference is None else None
        self._reference = None if reference is None else np.asarray(reference, dtype=np.float64)
        self._known: tuple[int, float | None] = (0, None)

    def add(self, inputs: Sequence[float]) -> None:
        """The numbers of one committed batch, in order."""
        window = len(self._last)
        with self._lock:
            if self._first is not None:
                self._first += inputs[: window - len(self._first)]
                if len(self._first) == window:
                    self._reference, self._first = np.array(self._first), None
            self._seen += len(inputs)
            last = np.asarray(inputs[-window:])
            self._last[np.arange(self._seen - len(last), self._seen) % window] = last

    def statistic(self) -> float | None:
        """Largest distance between the two empirical distribution functions, 0 to 1; None as long as too few are there.

        Smirnov 1939, as `scipy.stats.ks_2samp` has it. Its p-value is left out: inputs of a series are no
        independent draws, and it would call every trend a certainty.
        """
        with self._lock:
            seen, reference = self._seen, self._reference
            if self._known[0] == seen:
                return self._known[1]
            last = self._last[:seen].copy()
        found = None
        if reference is not None and len(last) >= MIN_INPUTS:
            found = float(self._ks_2samp(reference, last, method="asymp").statistic)
        self._known = (seen, found)
        return found
