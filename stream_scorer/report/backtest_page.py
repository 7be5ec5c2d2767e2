"""The page of a backtest: verdict, tables, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stream_scorer.evaluate import accuracy
from stream_scorer.evaluate.accuracy import Forecast
from stream_scorer.prices.history import Prices
from stream_scorer.report import chart, page

SHOWN = 250
"""Days of the picture of forecasts: a year, so that an interval can be told from a line."""


def html(report: dict[str, Any], prices: Prices, judged: Sequence[Forecast], before: Sequence[str] = ()) -> str:
    """Of what `report.summary` gives. before: parts that go between the verdict and the tables."""
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


def _errors(found: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            _points(one["rmse"]),
            _points(one["mae"]),
            f"{one['bias']:+,.3f}",
            _percent(one["skill"]),
            _t(one["diebold_mariano_t"]),
        )
        for name, one in found.items()
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


def _interval(found: dict[str, Any]) -> list[str]:
    names = {"model": "model", "plain": f"quantiles of the last {accuracy.PLAIN_CHANGES} changes"}
    rows = [
        (
            names[name],
            *(_percent(one[part], signed=False) for part in ("coverage", "below", "above", "width")),
            _points(one["score"]),
        )
        for name, one in found.items()
    ]
    return [
        page.heading(f"The {found['model']['level']:.0%} interval"),
        page.table(("interval", "holds", "below it", "above it", "mean width", "score"), rows),
        page.paragraph(
            "Score: the width, and for each miss its distance by 2 / (1 - level), in the unit of the prices; less is "
            "better.",
            "note",
        ),
    ]


def _by_year(report: dict[str, Any]) -> list[str]:
    years, interval = report["by_year"], report["interval"]
    labels, skills = [str(one["year"]) for one in years], [100 * (one["skill"] or 0.0) for one in years]
    parts = [
        page.heading("By year"),
        page.paragraph("Skill against the last value, in percent:", "note"),
        page.figure(chart.bars(labels, skills, " %")),
    ]
    if interval:
        level = 100 * interval["model"]["level"]
        held = [one for one in years if one["coverage"] is not None]
        parts += [
            page.paragraph(
                f"Closes within the interval, in percent; the line across is what it claims, {level:.0f} %:", "note"
            ),
            page.figure(
                chart.bars([str(one["year"]) for one in held], [100 * one["coverage"] for one in held], " %", level)
            ),
        ]
    head = ("year", "days", "RMSE", "last value's", "skill", "DM t", *(("in the interval",) if interval else ()))
    rows = [
        (
            str(one["year"]),
            str(one["judged"]),
            _points(one["rmse"]),
            _points(one["persistence_rmse"]),
            _percent(one["skill"]),
            _t(one["diebold_mariano_t"]),
            *((_percent(one["coverage"], signed=False),) if interval else ()),
        )
        for one in years
    ]
    return [*parts, page.table(head, rows)]


def _days(prices: Prices, judged: Sequence[Forecast]) -> str:
    target = [one.target for one in judged if one.target is not None]
    band = None
    if any(one.low is not None for one in judged):
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
    target = np.array([one.target for one in judged], np.intp)
    happened, last = prices.closes[target], prices.closes[[one.made for one in judged]]
    saved = (last - happened) ** 2 - (accuracy.column(judged, "value") - happened) ** 2
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
