"""Trains the forecaster: chooses its networks on days before the test part, fits them and calibrates the interval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from stream_scorer.errors import SettingsError
from stream_scorer.model.archive import write_archive
from stream_scorer.prices.adjust import LAG_DAYS
from stream_scorer_training import data, forecast_choose, forecast_data, forecast_interval, network
from stream_scorer_training.forecast_choose import Fold, Tried
from stream_scorer_training.forecast_data import Floats, Parameters, module, tf_sp500_lstm
from stream_scorer_training.prepare import SPLIT

KINDS = ("change", "spread")


# 68 lines: a straight script, choose, fit, calibrate, write. Its steps are functions; what is left is their order.
def train(
    prices: Path,
    cpi: Path,
    out: Path,
    *,
    split: str = SPLIT,
    lag_days: int = LAG_DAYS,
    on_step: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the attachment, its parameters and weights, and choice.json into `out`. Returns the content of choice.json.

    Only days before the split are used. The same data give the same bytes on one kind of machine. Blocks for minutes.
    Raises SettingsError: the data cannot be read, or have too few days.

    Args:
        prices, cpi: sources as in `data.load_prices`.
        split: first day of the test part, as YYYY-MM-DD.
        lag_days: days from the end of a month until its CPI figure is used.
        on_step: gets a line of text after each step.
    """
    end = pd.Timestamp(split)
    daily, monthly = data.load_prices(prices), data.load_cpi(cpi)
    figures = monthly.series
    closes = forecast_data.with_cpi(daily.series, figures, lag_days)
    closes = closes[closes.index < end]
    _check_length(closes, end)
    calendar = forecast_data.closures(str(closes.index[0].date()))
    spans = forecast_choose.folds(closes, figures, calendar, end, lag_days)
    tried = [forecast_choose.attempt(candidate, spans, on_step) for candidate in forecast_choose.CANDIDATES]
    rows = [forecast_choose.judge(candidate, spans) for candidate in tried]
    chosen = {kind: _of(forecast_choose.choose(rows, kind), tried) for kind in KINDS}

    last = forecast_choose.fold(closes, figures, calendar, end, end, lag_days)
    parameters, weights, fits = last.parameters, {}, {}
    for kind, choice in chosen.items():
        if choice is None:
            continue
        row, winner = choice
        on_step(f"{row['candidate']}: the one that ships")
        fitted = forecast_choose.fit(winner.candidate, last, winner.candidate.seeds[0])
        parameters["shares"][kind] = row["share"]
        weights.update({f"{kind}/{name}": value for name, value in fitted.weights.items()})
        fits[kind] = {"candidate": row["candidate"], "share": row["share"], "iterations": fitted.iterations}
    steps = forecast_interval.fit(*_scores(spans, chosen), parameters)
    interval = parameters["interval"]
    without = forecast_interval.tried(*_scores(spans, {}), interval["level"], interval["least"])
    parameters["model"] = f"{module.name} {_digest(parameters, weights)}"
    write(out, parameters, weights)
    report = {
        "model": parameters["model"],
        "attachment": f"{module.name}.tar.gz",
        "split": split,
        "candidates": rows,
        "shipped": fits,
        "interval": {
            **interval,
            "tried": steps,
            "on_folds": {"shipped": forecast_interval.best(steps), "no network": forecast_interval.best(without)},
        },
        "trend": parameters["trend"],
        "spread": parameters["spread"],
        "cpi_lag_days": lag_days,
        "folds": [[str(span.series.dates[span.first].date()), str(span.series.dates[-1].date())] for span in spans],
        "data": {"prices_sha256": daily.sha256, "cpi_sha256": monthly.sha256},
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
    }
    (out / "choice.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _check_length(closes: pd.Series, end: pd.Timestamp) -> None:
    """Raise SettingsError if the years before the split are too few for the folds and for training before the first."""
    years = forecast_choose.FOLDS * forecast_choose.FOLD_YEARS + forecast_choose.TAIL_YEARS + 2
    begin = end - pd.DateOffset(years=years)
    if not len(closes) or closes.index[0] > begin:
        raise SettingsError(
            f"closes with a CPI begin on {closes.index[0].date() if len(closes) else 'no day'}, and must begin by "
            f"{begin.date()}: choosing and training need {years} years before the split {end.date()}. Give longer "
            "series, or a later --split."
        )


def write(out: Path, parameters: Parameters, weights: Mapping[str, Any]) -> None:
    """Write the attachment into `out`: parameters, weights, and the file of the module that computes the network."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{module.name}.json").write_text(json.dumps(parameters, indent=1) + "\n")
    files = [out / f"{module.name}.json", Path(tf_sp500_lstm.__file__)]
    if weights:
        network.save(dict(weights), out / module.name)
        files += sorted(out.glob(f"{module.name}.index")) + sorted(out.glob(f"{module.name}.data-*"))
    write_archive(out / f"{module.name}.tar.gz", {path.name: path.read_bytes() for path in files})


def _of(row: dict[str, Any] | None, tried: list[Tried]) -> tuple[dict[str, Any], Tried] | None:
    """Return a row of the table of candidates with its candidate's results."""
    if row is None:
        return None
    return row, next(candidate for candidate in tried if candidate.candidate.name == row["candidate"])


def _scores(spans: list[Fold], chosen: Mapping[str, tuple[dict[str, Any], Tried] | None]) -> tuple[Floats, Floats]:
    """Return ln(close / forecast) in units of the forecast spread, and these spreads, of all folds, [T] each.

    The forecasts of a fold are made by networks that were trained on the days before it. chosen: row and results by kind.
    """
    scores, spreads = [], []
    for number, span in enumerate(spans):
        at = span.made_at
        parts = {kind: np.zeros(len(at)) for kind in KINDS}
        for kind, choice in chosen.items():
            if choice is not None:
                row, candidate = choice
                parts[kind] = row["shares_of_folds"][number] * candidate.outputs[number]
        spreads.append(span.series.spread[at] * np.exp(parts["spread"]))
        scores.append((forecast_choose.beyond_line(span) - parts["change"]) / spreads[-1])
    return np.concatenate(scores), np.concatenate(spreads)


def _digest(parameters: Parameters, weights: Mapping[str, Any]) -> str:
    """Return the first 12 hex digits of the sha256 of all that is fitted."""
    digest = hashlib.sha256(json.dumps({**parameters, "model": ""}, sort_keys=True).encode())
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].tobytes())
    return digest.hexdigest()[:12]
