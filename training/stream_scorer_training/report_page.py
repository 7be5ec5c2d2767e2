"""The page that `train` writes: the verdict, the figures, and which data and settings the training had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stream_scorer.evaluate.accuracy import SIGNIFICANT_T
from stream_scorer.report import chart, page
from stream_scorer_training.evaluate import Errors, Windows
from stream_scorer_training.prepare import Prepared

ROLES = ("ink", "accent", "quiet")
SHOWN = 250
"""Days in the picture of forecasts beside actual values: a year, so that the two lines can be distinguished."""
TUTORIAL = ("about 0.0013", "", "0.00028", "drawn only")
"""The tutorial's own figures for the rows of the first table. It has none for the second."""

_P = ".4f"


@dataclass(frozen=True)
class Shown:
    """The data that the page draws.

    cpi: monthly. losses: one per iteration, by seed. windows, errors: of the first seed, as in `evaluate`.
    """

    prepared: Prepared
    cpi: pd.Series
    losses: dict[int, list[float]]
    windows: Windows
    errors: Errors


def verdict(report: dict[str, Any]) -> str:
    """Return one sentence: better than the last value with all seeds, worse with all, or neither beyond chance."""
    tests = [run["test"] for run in report["seeds"]]
    skills, ts = _span([test["skill"] for test in tests], "+.1%"), [test["diebold_mariano_t"] for test in tests]
    evidence = f"skill {skills}, Diebold-Mariano t {_span(ts, '+.1f')}"
    if len(tests) > 1:
        evidence = f"{len(tests)} seeds: {evidence}"
    if all(t > SIGNIFICANT_T for t in ts):
        return f"Better than yesterday's price as a forecast ({evidence})."
    if all(t < -SIGNIFICANT_T for t in ts):
        return f"Does not beat yesterday's price: as a forecast it is worse, and not by chance ({evidence})."
    return f"Does not beat yesterday's price: as a forecast it is neither better nor worse beyond chance ({evidence})."


def html(report: dict[str, Any], shown: Shown) -> str:
    """Return the page. report: the content of report.json."""
    parts = [page.paragraph(report["verdict"], "verdict"), page.paragraph(_summary(report))]
    parts += [*_figures(report), *_pictures(shown), *_by_year(report), *_losses(shown), *_data(report, shown)]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    training = report["training"]
    parts += [
        page.heading("How it was trained"),
        page.paragraph(
            f"{training['iterations']:,} iterations of Adam on {training['batch_size']} random windows of 30 days from "
            f"the {report['data']['training_rows']:,} days up to {report['split']}; the weights kept are those of seed "
            f"{training['seed']}. {versions}."
        ),
    ]
    return page.page("Training of the S&P 500 LSTM", parts)


def _summary(report: dict[str, Any]) -> str:
    test, data = report["test"], report["data"]
    return (
        f"Judged on the {test['forecasts'] - 1:,} days from {data['judged_from']} to {data['last']}, each forecast "
        f"from the 30 days before it, in index points: RMSE {test['honest_rmse_points']:.2f} against "
        f"{test['persistence_rmse_points']:.2f} for the last close as the forecast (seed {report['training']['seed']}). "
        f"{report['why_two_figures']}"
    )


# 52 lines: two tables, a row a line; split, they would lose the columns that they share.
def _figures(report: dict[str, Any]) -> list[str]:
    runs = report["seeds"]

    def row(label: str, part: str, name: str, style: str) -> tuple[str, ...]:
        values = [run[part][name] for run in runs]
        known = [value for value in values if value is not None]
        spread = [_span(known, style) if known else "-"] if len(runs) > 1 else []
        return (label, *("-" if value is None else _number(value, style) for value in values), *spread)

    head = (
        *("figure", *(f"seed {run['training']['seed']}" for run in runs)),
        *(("least to most",) if len(runs) > 1 else ()),
    )
    its_way = [
        row("training batch MSE, the last batch", "training", "final_batch_mse", ".5f"),
        row("the same, mean of the last 100", "training", "mean_mse_of_last_100_batches", ".5f"),
        row("test MSE against the last input", "test", "tutorial_mse", ".6f"),
        row("the same, 120 days from 2007-07-01", "test", "tutorial_mse_120_days", ".6f"),
    ]
    honestly = [
        row("one-step MSE, against the day forecast", "test", "honest_mse", ".6f"),
        row("the last value as the forecast", "test", "persistence_mse", ".6f"),
        row("drift walk: last value and mean change", "test", "drift_mse", ".6f"),
        row("skill against the last value", "test", "skill", "+.2%"),
        row("Diebold-Mariano t of that", "test", "diebold_mariano_t", "+.2f"),
        row("its p, two-sided", "test", "diebold_mariano_p", _P),
        row("skill against the drift walk", "test", "skill_against_drift", "+.2%"),
        row("Diebold-Mariano t of that", "test", "diebold_mariano_t_against_drift", "+.2f"),
        row("RMSE in index points", "test", "honest_rmse_points", ".3f"),
        row("of the last value", "test", "persistence_rmse_points", ".3f"),
        row("of the drift walk", "test", "drift_rmse_points", ".3f"),
    ]
    return [
        page.heading("The figures as the tutorial computes them"),
        page.table(
            (head[0], "tutorial", *head[1:]),
            [(row[0], tutorial, *row[1:]) for tutorial, row in zip(TUTORIAL, its_way, strict=True)],
        ),
        page.paragraph(
            "The test figure is no error of a forecast: it tells how close the forecast is to the price already known, "
            "and the network has learned to repeat that price.",
            "note",
        ),
        page.heading("The figures of a forecast"),
        page.table(head, honestly),
        page.paragraph(
            "MSE of adjusted values (index over CPI, trend taken off). Skill: 1 less the MSE over that of the walk. "
            "Diebold-Mariano t: of the difference in squared errors, one step ahead; within -2 and 2 it is chance. The "
            "drift is the mean change of the training part.",
            "note",
        ),
    ]


def _pictures(shown: Shown) -> list[str]:
    errors, close = shown.errors, shown.prepared.close
    labels = _dates(errors.dates)
    happened = close[errors.dates].to_numpy()
    points = errors.network * errors.cpi
    saved = np.cumsum((errors.last * errors.cpi) ** 2 - points**2)
    last = slice(-SHOWN, None)
    parts = [
        page.heading(f"The last {min(SHOWN, len(labels))} days of the test part"),
        page.figure(
            chart.lines(
                labels[last],
                [
                    chart.Line("what happened", happened[last]),
                    chart.Line("forecast of the day before", (happened + points)[last], "accent"),
                ],
                "",
            )
        ),
        page.heading("Squared error saved against the last value, summed up"),
        page.figure(chart.lines(labels, [chart.Line("saved, points squared", saved)], "")),
        page.paragraph("Rising: the network does better than the last value did; falling: worse.", "note"),
    ]
    for title, (observed, made) in shown.windows.items():
        parts += [
            page.heading(f"The tutorial's picture: {title.replace('_', ' ')}"),
            page.figure(
                chart.lines(
                    _dates(observed.index),
                    [
                        chart.Line("last input, which the tutorial calls observed", observed.to_numpy()),
                        chart.Line("forecast for the day after", made, "accent"),
                    ],
                    "",
                )
            ),
        ]
    return parts


def _by_year(report: dict[str, Any]) -> list[str]:
    years = report["by_year"]
    rows = [
        (
            str(year["year"]),
            f"{year['days']}",
            *(f"{year[name]:.2f}" for name in ("rmse_points", "persistence_rmse_points", "drift_rmse_points")),
            f"{year['skill']:+.2%}",
            "-" if year["diebold_mariano_t"] is None else f"{year['diebold_mariano_t']:+.2f}",
        )
        for year in years
    ]
    worse = sum(year["skill"] < 0 for year in years)
    return [
        page.heading("By year"),
        page.paragraph(
            f"Seed {report['training']['seed']}: worse than the last value in {worse} of {len(years)} calendar years. "
            "Skill against the last value, in percent:"
        ),
        page.figure(
            chart.bars([str(year["year"]) for year in years], [100 * year["skill"] for year in years], " %"),
        ),
        page.table(("year", "days", "RMSE", "last value's", "drift walk's", "skill", "DM t"), rows),
    ]


def _losses(shown: Shown) -> list[str]:
    """Draw the losses of the first seeds, as many as there are colours."""
    drawn = list(shown.losses.items())[: len(ROLES)]
    count = len(drawn[0][1])
    return [
        page.heading("Loss"),
        page.paragraph("Mean squared error of each training batch, as a power of ten:", "note"),
        page.figure(
            chart.lines(
                [f"{at:,}" for at in range(1, count + 1)],
                [
                    chart.Line(f"seed {seed}", np.log10(losses), role)
                    for role, (seed, losses) in zip(ROLES, drawn, strict=False)
                ],
                "",
            )
        ),
    ]


def _data(report: dict[str, Any], shown: Shown) -> list[str]:
    data, prepared = report["data"], shown.prepared
    dates = _dates(prepared.normalized.index)
    trend = prepared.trend.at(pd.DatetimeIndex(prepared.normalized.index))
    return [
        page.heading("Data"),
        page.table(("", "source", "rows", "without a value", "first", "last", "gaps"), _sources(data)),
        *(
            page.paragraph(f"{name}: sha256 {data[name]['sha256']}. {_gaps(data[name])}", "note")
            for name in ("prices", "cpi")
        ),
        page.paragraph(
            f"{data['rows']:,} days have both a close and a CPI, {data['prices_without_cpi']:,} closes have none. As in "
            f"the tutorial the CPI is interpolated between the months' figures, and {data['cpi_months_dropped']} months "
            "that begin on a weekend do not count."
        ),
        page.heading("S&P 500 daily close, index points"),
        page.figure(chart.lines(dates, [chart.Line("close", prepared.close.to_numpy())], "")),
        page.heading("Consumer price index"),
        page.figure(chart.lines(_dates(shown.cpi.index), [chart.Line("CPI", shown.cpi.to_numpy())], "")),
        page.heading("Close over CPI, and the trend of the training part"),
        page.figure(
            chart.lines(
                dates,
                [chart.Line("close / CPI", prepared.normalized.to_numpy()), chart.Line("trend", trend, "accent")],
                "",
            )
        ),
        page.heading("The same without its trend: what the network sees"),
        page.figure(chart.lines(dates, [chart.Line("adjusted", prepared.adjusted.to_numpy())], "")),
        page.paragraph(
            f"Trained on the days up to {report['split']}, judged on those from then on: that day is in both parts, as in "
            "the tutorial.",
            "note",
        ),
    ]


def _sources(data: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in ("prices", "cpi"):
        facts = data[name]
        cells = (facts["source"], f"{facts['rows']:,}", f"{facts['without_a_value']:,}", facts["first"], facts["last"])
        rows.append((name, *cells, f"{len(facts['gaps'])}"))
    return rows


def _gaps(facts: dict[str, Any]) -> str:
    limit = facts["gaps_longer_than_days"]
    if not facts["gaps"]:
        return f"No gap of more than {limit} days."
    first = "; ".join(f"{gap['after']} to {gap['before']}, {gap['days']} days" for gap in facts["gaps"][:20])
    more = f"; and {len(facts['gaps']) - 20} more" if len(facts["gaps"]) > 20 else ""
    return f"Gaps of more than {limit} days: {first}{more}."


def _span(values: Sequence[float], style: str) -> str:
    low, high = _number(min(values), style), _number(max(values), style)
    return low if low == high else f"{low} to {high}"


def _number(value: float, style: str) -> str:
    """Format a number; a p-value is never shown as zero."""
    if style == _P and value < 1e-4:
        return "< 0.0001"
    return format(value, style)


def _dates(index: pd.Index) -> list[str]:
    return [str(day.date()) for day in pd.DatetimeIndex(index)]
