"""Reads the facts and the trend of the shipped tf_sp500_lstm from its attachment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from stream_scorer import models
from stream_scorer.model.archive import read_archive
from stream_scorer_training.prepare import Trend

ATTACHMENT = Path(models.__path__[0]) / "attachment.tar.gz"


def shipped_facts() -> dict[str, Any]:
    """Return what `train` wrote beside the shipped weights: trend, data, seed, figures."""
    facts: dict[str, Any] = json.loads(read_archive(ATTACHMENT)["tf_sp500_lstm.json"])
    return facts


def shipped_trend() -> Trend:
    """Return the trend that the shipped weights were trained without."""
    trend = shipped_facts()["trend"]
    return Trend(pd.Timestamp(trend["epoch"]), trend["slope"], trend["intercept"])
