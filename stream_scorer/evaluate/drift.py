"""Drift: how far the last inputs differ from a reference sample, by the two-sample Kolmogorov-Smirnov statistic."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from stream_scorer.errors import SettingsError

MIN_INPUTS = 30
"""Drift is not reported before this many inputs: with fewer, the statistic is large by chance."""


class Drift:
    """Compares the last inputs with a reference sample. `add` is for the loop's thread, `statistic` for any thread.

    Args:
        window: number of the last inputs that are compared.
        reference: the sample; None takes the first `window` inputs.
    Raises:
        SettingsError: scipy is not installed.
    """

    def __init__(self, window: int, reference: Sequence[float] | None) -> None:
        try:
            # Imported here, so that a service without scipy stops at its start, and not at the first statistic.
            from scipy.stats import ks_2samp
        except ModuleNotFoundError as error:
            raise SettingsError("--evaluate needs scipy: pip install 'stream-scorer[evaluate]'.") from error
        self._ks_2samp = ks_2samp
        self._lock = threading.Lock()
        self._last = np.zeros(window)
        self._seen = 0
        self._first: list[float] | None = [] if reference is None else None
        self._reference = None if reference is None else np.asarray(reference, dtype=np.float64)
        self._cached: tuple[int, float | None] = (0, None)

    def add(self, inputs: Sequence[float]) -> None:
        """Add the inputs of one committed batch, in order."""
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
        """Largest distance between the two empirical distribution functions, 0 to 1; None before MIN_INPUTS inputs.

        Smirnov 1939, by `scipy.stats.ks_2samp`. Its p-value is left out: it is for independent draws, which inputs of
        a series are not, so that every trend would look certain.
        """
        with self._lock:
            seen, reference = self._seen, self._reference
            if self._cached[0] == seen:
                return self._cached[1]
            last = self._last[:seen].copy()
        distance = None
        if reference is not None and len(last) >= MIN_INPUTS:
            distance = float(self._ks_2samp(reference, last, method="asymp").statistic)
        self._cached = (seen, distance)
        return distance
