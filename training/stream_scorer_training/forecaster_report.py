"""Tests the forecaster once on the test part, with the service's own scorer, and writes the report."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from stream_scorer.prices.history import Prices
from stream_scorer.report import backtest as report
from stream_scorer.report import page
from stream_scorer.scoring.walk import walk
from stream_scorer_training import data
from stream_scorer_training.forecast_data import module


def test_once(prices: Path, out: Path, choice: dict[str, Any], symbol: str) -> dict[str, Any]:
    """Score the whole history with the attachment in `out`, and judge the forecasts of the days after the split.

    Writes report.json and report.html into `out`, and returns the content of report.json. Blocks.
    Raises SettingsError: the history has no days after the split. choice: as `forecaster.train` returns it.
    """
    history = Prices.of(data.read_prices(prices), prices)
    first = datetime.date.fromisoformat(choice["split"]) + datetime.timedelta(days=1)
    walked = walk(str(module.__file__), history, attachment=out / f"{module.name}.tar.gz", symbol=symbol)
    summary, judged = report.summary(walked, history, first=first)
    summary = {**summary, "choice": choice}
    report.write(out, walked, history, summary, judged, *tell(choice))
    return summary


test_once.__test__ = False  # type: ignore[attr-defined]  # it tests a model: pytest must not collect it


def tell(choice: dict[str, Any]) -> list[str]:
    """Return the parts of the page about the choice: which networks are shipped, the candidates, the interval."""
    if "change" in choice["shipped"]:
        mean = "A network for the change is shipped: on the folds it was better than none beyond chance."
    else:
        mean = (
            "No network for the change itself is shipped: none was better than none beyond chance. The forecast is "
            "the last close, moved on by the long-run line, and the product is its interval."
        )
    interval = choice["interval"]
    held = [
        (name, f"{figures['coverage']:.1%}", f"{figures['width']:.3%}", f"{figures['score']:.3%}")
        for name, figures in interval["on_folds"].items()
    ]
    return [
        page.heading(f"What was chosen, on days before {choice['split']} alone"),
        page.paragraph(mean),
        page.paragraph("Of the change, skill against the last value, in percent:", "note"),
        _candidates(choice, "change", 100),
        page.paragraph("Of its spread, log likelihood gained on GARCH(1,1), in nats per 1,000 days:", "note"),
        _candidates(choice, "spread", 1000),
        page.paragraph(
            "Walk-forward: the years of a fold are forecast by networks that saw only what lies before them. Whole: with "
            "all of the output taken; else with a share of it that was fitted on the other folds. t: of the gain on "
            "taking none; above 2 a candidate may be shipped. Share: fitted on all folds; where it is 0 the skill is "
            "that of the long-run line alone.",
            "note",
        ),
        page.paragraph(
            f"The interval starts {interval['q_low']:.3f} spreads below and {interval['q_high']:.3f} above, the "
            f"quantiles of the folds' errors. {_pace(interval['step'])}",
            "note",
        ),
        page.table(("interval on the later folds", "holds", "mean width", "score"), held),
    ]


def _candidates(choice: dict[str, Any], kind: str, unit: float) -> str:
    shipped = {fit["candidate"] for fit in choice["shipped"].values()}
    names = [f"{first[:4]}-{last[2:4]}" for first, last in choice["folds"]]
    rows = [
        (
            row["candidate"],
            *(f"{unit * value:+.2f}" for value in (*row["skill_of_folds"], row["skill"])),
            f"{unit * row['skill_at_share_1']:+,.2f}",
            f"{row['t']:+.1f}",
            f"{row['share']:.2f}",
            "yes" if row["candidate"] in shipped else "",
        )
        for row in choice["candidates"]
        if row["kind"] == kind
    ]
    return page.table(("candidate", *names, "mean", "whole", "t", "share", "shipped"), rows)


def _pace(step: float) -> str:
    if step == 0:
        return "Its ends stay there: on the later folds none of the paces tried for following misses did better."
    return f"Each miss moves its end by {step:g} spreads, the pace that did best on the later folds."
