"""A backtest as figures in JSON, and its files."""

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
    """report.json, and the forecasts it judges: those of days from `first` to `last`; all are scored all the same.

    Raises SettingsError: nothing is left to accuracy.
    """
    judged = [
        one
        for one in walked.forecasts
        if one.target is not None
        and (first is None or prices.dates[one.target] >= first)
        and (last is None or prices.dates[one.target] <= last)
    ]
    if not judged:
        raise SettingsError(
            f"{len(walked.inputs)} prices in, {len(walked.scores)} scores out, {len(walked.rejects)} rejected: no forecast "
            f"of a day that is judged. {_why(walked)}"
        )
    found = accuracy.accuracy(prices, judged, rolling=rolling, level=level)
    after = [one for one in walked.forecasts if one.made == len(prices) - 1]
    return {
        "verdict": found.pop("verdict"),
        "model": walked.model,
        "model_sha256": walked.sha256,
        "prices": prices.path.name,
        "inputs": len(walked.inputs),
        "scores": len(walked.scores),
        "outputs_that_are_no_forecasts": len(walked.scores) - len(walked.forecasts),
        "forecasts_of_days_without_a_price": sum(one.target is None for one in walked.forecasts) - len(after),
        "rejected": {"count": len(walked.rejects), "first": walked.rejects[:REJECTS_SHOWN]},
        **found,
        "next": None
        if not after
        else {"date": after[0].date, "close": after[0].value, "low": after[0].low, "high": after[0].high},
    }, judged


def _why(walked: Walk) -> str:
    if walked.rejects:
        return f"The first rejected: {walked.rejects[0]}"
    return "Give more prices, or a wider span by --from and --to."


def write(
    out: Path, walked: Walk, prices: Prices, report: dict[str, Any], judged: Sequence[Forecast], *before: str
) -> None:
    """report.json, report.html, and inputs.jsonl and scores.jsonl: what `score` takes and gives for the same prices.

    before: parts of the page that go between the verdict and the tables.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "inputs.jsonl").write_bytes(b"".join(line + b"\n" for line in walked.inputs))
    (out / "scores.jsonl").write_bytes(b"".join(line + b"\n" for line in walked.scores))
    (out / "report.html").write_text(html(report, prices, judged, before), encoding="utf-8")
