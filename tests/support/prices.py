"""Series of adjusted prices for tests: real ones where the reference data is present, else synthetic ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from stream_scorer_training.data import read_cpi, read_prices, synthetic_prices
from stream_scorer_training.prepare import SPLIT, adjust
from stream_scorer_training.shipped import shipped_trend


def adjusted_test_part(shared_data: Path | None) -> pd.Series:
    """2,627 real days from the split on, or as many synthetic ones."""
    if shared_data is not None:
        prices, cpi = read_prices(shared_data / "sp500.csv"), read_cpi(shared_data / "CPIAUCSL.csv")
        return adjust(prices, cpi, shipped_trend())[SPLIT:]
    prices, cpi = synthetic_prices(2_700)
    return adjust(prices, cpi, shipped_trend())


def random_walks(keys: int, length: int, seed: int = 2017) -> npt.NDArray[np.float64]:
    """Series [keys, length] with levels around 1 and steps around 0.05."""
    rng = np.random.default_rng(seed)
    return rng.normal(1, 1, (keys, 1)) + np.cumsum(rng.normal(0, 0.05, (keys, length)), axis=1)
