"""The page of a backtest: verdict, tables, charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stream_scorer.evaluate import accuracy
from stream_scorer.evaluate.accuracy import Forecast
from stream_scorer.prices.history import Prices
from stream_scorer.report import chart, page

SHOWN = 250
"""Days in the chart of forecasts: with more than a year, an interval looks like a line."""


def html(report: dict[str, Any], prices: Prices, judged: Sequence[Forecast], before: Sequence[str] = ()) -> str:
    """The page for a report of `backtest.summary`. before: parts put between the verdict and the tables."""
    parts = [*_head(report, before), *_errors(report["errors"])]
    if report["interval"]:
        parts += _interval(report["interval"])
    parts += [
        page.heading(f"The last {min(SHOWN, len(judged))} days"),
        page.figure(_days(prices, judged[-SHOWN:])),
        page.heading("Squared error saved against the last value, summed up"),
        page.figure(_saved(prices, judged)),
        page.paragraph("Rising: the model does better than the last value did; falling: worse.", "note"),
        *_by_year(report),
        page.paragraph(f"Model {report['model']}, sha256 {report['model_sha256']}.", "note"),
    ]
    return page.page(f"Backtest of {report['model']}", parts)


def _head(report: dict[str, Any], before: Sequence[str]) -> list[str]:
    rejected, following = report["rejected"], report["next"]
    facts = (
        f"{report['judged']:,} forecasts of the days {report['first']} to {report['last']}, each made from what was "
        f"known the day before. {report['inputs']:,} prices of {report['prices']} went in; {rejected['count']:,} were "
        "rejected."
    )
    parts = [page.paragraph(report["verdict"], "verdict"), page.paragraph(facts), *before]
    if following is not None:
        text = _points(following["close"])
        if following["low"] is not None:
            text += f", within {_points(following['low'])} and {_points(following['high'])}"
        parts.append(page.paragraph(f"The next one, for {following['date'] or 'the day after the last'}: {text}."))
    return parts + [page.paragraph(f"Rejected: {text}", "note") for text in rejected["first"]]


def _errors(errors: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            _points(figures["rmse"]),
            _points(figures["mae"]),
            f"{figures['bias']:+,.3f}",
            _percent(figures["skill"]),
            _t(figures["diebold_mariano_t"]),
        )
        for name, figures in errors.items()
    ]
    return [
        page.heading("Errors, beside simple forecasts of the same days"),
        page.table(("forecast", "RMSE", "mean absolute error", "bias", "skill", "DM t"), rows),
        page.paragraph(
            "In the unit of the prices. Skill: 1 less the mean squared error over that of the last value. DM t: of "
            "Diebold and Mariano against the last value; within -2 and 2 a difference is chance.",
            "note",
        ),
    ]


def _interval(intervals: dict[str, Any]) -> list[str]:
    names = {"model": "model", "plain": f"quantiles of the last {accuracy.PLAIN_CHANGES} changes"}
    rows = [
        (
            names[name],
            *(_percent(figures[part], signed=False) for part in ("coverage", "below", "above", "width")),
            _points(figures["score"]),
        )
        for name, figures in intervals.items()
    ]
    return [
        page.heading(f"The {intervals['model']['level']:.0%} interval"),
        page.table(("interval", "holds", "below it", "above it", "mean width", "score"), rows),
        page.paragraph(
            "Score: the width, and for each miss its distance by 2 / (1 - level), in the unit of the prices; less is "
            "better.",
            "note",
        ),
    ]


def _by_year(report: dict[str, Any]) -> list[str]:
    years, interval = report["by_year"], report["interval"]
    labels, skills = [str(row["year"]) for row in years], [100 * (row["skill"] or 0.0) for row in years]
    parts = [
        page.heading("By year"),
        page.paragraph("Skill against the last value, in percent:", "note"),
        page.figure(chart.bars(labels, skills, " %")),
    ]
    if interval:
        level = 100 * interval["model"]["level"]
        held = [row for row in years if row["coverage"] is not None]
        parts += [
            page.paragraph(
                f"Closes within the interval, in percent; the line across is what it claims, {level:.0f} %:", "note"
            ),
            page.figure(
                chart.bars([str(row["year"]) for row in held], [100 * row["coverage"] for row in held], " %", level)
            ),
        ]
    head = ("year", "days", "RMSE", "last value's", "skill", "DM t", *(("in the interval",) if interval else ()))
    rows = [
        (
            str(row["year"]),
            str(row["judged"]),
            _points(row["rmse"]),
            _points(row["persistence_rmse"]),
            _percent(row["skill"]),
            _t(row["diebold_mariano_t"]),
            *((_percent(row["coverage"], signed=False),) if interval else ()),
        )
        for row in years
    ]
    return [*parts, page.table(head, rows)]


def _days(prices: Prices, judged: Sequence[Forecast]) -> str:
    target = [forecast.target for forecast in judged if forecast.target is not None]
    band = None
    if any(forecast.low is not None for forecast in judged):
        low, high = (accuracy.column(judged, name) for name in ("low", "high"))
        band = chart.Band("interval", low, high)
    return chart.lines(
        [prices.dates[at].isoformat() for at in target],
        [
            chart.Line("what happened", prices.closes[target]),
            chart.Line("forecast of the day before", accuracy.column(judged, "value"), "accent"),
        ],
        "",
        band,
    )


def _saved(prices: Prices, judged: Sequence[Forecast]) -> str:
    target = np.array([forecast.target for forecast in judged], np.intp)
    actual, last = prices.closes[target], prices.closes[[forecast.made for forecast in judged]]
    saved = (last - actual) ** 2 - (accuracy.column(judged, "value") - actual) ** 2
    return chart.lines(
        [prices.dates[at].isoformat() for at in target], [chart.Line("saved, points squared", np.cumsum(saved))], ""
    )


def _points(number: float) -> str:
    return f"{number:,.3f}" if abs(number) >= 0.1 else f"{number:.3g}"


def _percent(number: float | None, *, signed: bool = True) -> str:
    if number is None:
        return "-"
    return f"{number:+.2%}" if signed else f"{number:.2%}"


def _t(number: float | None) -> str:
    return "-" if number is None else f"{number:+.2f}"
