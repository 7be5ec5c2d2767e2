"""The figures of a backtest, and its files."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.evaluate import accuracy
from stream_scorer.evaluate.accuracy import Forecast
from stream_scorer.prices.history import Prices
from stream_scorer.report.backtest_page import html
from stream_scorer.scoring.walk import Walk

REJECTS_SHOWN = 5


def summary(
    walked: Walk,
    prices: Prices,
    *,
    first: datetime.date | None = None,
    last: datetime.date | None = None,
    rolling: int = 5,
    level: float = 0.9,
) -> tuple[dict[str, Any], list[Forecast]]:
    """The content of report.json, and the forecasts that it judges: those for the days from `first` to `last`.

    Args:
        rolling: closes in the rolling mean that the forecasts are compared with.
        level: of intervals that do not state their own.
    Raises:
        SettingsError: no forecast is left to judge.
    """
    judged = [
        forecast
        for forecast in walked.forecasts
        if forecast.target is not None
        and (first is None or prices.dates[forecast.target] >= first)
        and (last is None or prices.dates[forecast.target] <= last)
    ]
    if not judged:
        raise SettingsError(
            f"{len(walked.inputs)} prices in, {len(walked.scores)} scores out, {len(walked.rejects)} rejected: no forecast "
            f"of a day that is judged. {_cause(walked)}"
        )
    figures = accuracy.accuracy(prices, judged, rolling=rolling, level=level)
    return {
        "verdict": figures.pop("verdict"),
        **_counts(walked, prices),
        **figures,
        "next": _next(walked, prices),
    }, judged


def _counts(walked: Walk, prices: Prices) -> dict[str, Any]:
    without_price = sum(forecast.target is None and not _is_next(forecast, prices) for forecast in walked.forecasts)
    return {
        "model": walked.model,
        "model_sha256": walked.sha256,
        "prices": prices.path.name,
        "inputs": len(walked.inputs),
        "scores": len(walked.scores),
        "outputs_that_are_no_forecasts": len(walked.scores) - len(walked.forecasts),
        "forecasts_of_days_without_a_price": without_price,
        "rejected": {"count": len(walked.rejects), "first": walked.rejects[:REJECTS_SHOWN]},
    }


def _next(walked: Walk, prices: Prices) -> dict[str, Any] | None:
    """The forecast made after the last price, which nothing judges yet."""
    for forecast in walked.forecasts:
        if _is_next(forecast, prices):
            return {"date": forecast.date, "close": forecast.value, "low": forecast.low, "high": forecast.high}
    return None


def _is_next(forecast: Forecast, prices: Prices) -> bool:
    return forecast.made == len(prices) - 1


def _cause(walked: Walk) -> str:
    if walked.rejects:
        return f"The first rejected: {walked.rejects[0]}"
    return "Give more prices, or a wider span by --from and --to."


def write(
    out: Path, walked: Walk, prices: Prices, report: dict[str, Any], judged: Sequence[Forecast], *before: str
) -> None:
    """Write report.json and report.html; and inputs.jsonl and scores.jsonl, what `score` reads and writes for the prices.

    before: parts of the page, put between the verdict and the tables.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "inputs.jsonl").write_bytes(b"".join(line + b"\n" for line in walked.inputs))
    (out / "scores.jsonl").write_bytes(b"".join(line + b"\n" for line in walked.scores))
    (out / "report.html").write_text(html(report, prices, judged, before), encoding="utf-8")
