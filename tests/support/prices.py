"""Series of adjusted prices for tests: real ones where the reference data is present, else synthetic ones."""

from __future__ import annotations

from pathlib import Path

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
