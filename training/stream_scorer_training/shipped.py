"""The model that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from stream_scorer.model.archive import read_archive
from stream_scorer_training.prepare import Trend

FOLDER = Path(__file__).parent / "model"
MODULE = FOLDER / "tf_sp500_lstm.py"
ATTACHMENT = FOLDER / "attachment.tar.gz"


def shipped_facts() -> dict[str, Any]:
    """What `train` wrote beside the shipped weights: trend, data, seed, figures."""
    facts: dict[str, Any] = json.loads(read_archive(ATTACHMENT)["tf_sp500_lstm.json"])
    return facts


def shipped_trend() -> Trend:
    trend = shipped_facts()["trend"]
    return Trend(pd.Timestamp(trend["epoch"]), trend["slope"], trend["intercept"])
