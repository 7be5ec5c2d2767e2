"""Chooses the networks that the forecaster ships. Candidates are tried walk-forward, on days before the test part only.

Each fold fits trend and spread on all days before it, trains on the days up to three years before it, stops early by the
loss of those three years, and forecasts the days of the fold. A candidate's share is the factor by which its output enters
the forecast. It is fitted on the other folds, so that no fold judges a share that was fitted on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream_scorer_training import forecast_data, forecast_network
from stream_scorer_training.forecast_data import Floats, Series

FOLDS, FOLD_YEARS, TAIL_YEARS = 4, 4, 3
SIGNIFICANT = 2.0
"""Diebold-Mariano t, over all folds, that a network must exceed to be shipped."""
SHARES = np.arange(21) / 20


@dataclass(frozen=True)
class Candidate:
    """A network to try.

    kind: what it forecasts: "change" (of the close) or "spread" (of that change).
    aim: its inputs and targets. "z": changes in units of the spread. "level": adjusted closes, and the next one as target,
    as in the tutorial. "step": adjusted closes, and the change to the next one as target.
    years: of training before the tail; None: all.
    rate: learning rate. seeds: one network for each; their outputs are averaged.
    shippable: whether the module can run it.
    """

    name: str
    kind: str
    aim: str = "z"
    years: int | None = None
    rate: float = 1e-3
    seeds: tuple[int, ...] = (2017,)
    shippable: bool = True


CANDIDATES = (
    Candidate("next level", "change", "level", shippable=False),
    Candidate("change of level, added to the last", "change", "step", shippable=False),
    Candidate("change in spreads", "change"),
    Candidate("change in spreads, last 15 years", "change", years=15),
    Candidate("change in spreads, three seeds together", "change", seeds=(2017, 2018, 2019), shippable=False),
    Candidate("spread", "spread"),
    Candidate("spread, slower", "spread", rate=3e-4),
)


@dataclass(frozen=True)
class Fold:
    """All closes before the fold's end, and where its parts begin.

    parameters: trend and spread, fitted on the closes before `first`.
    tail, first: indices into `series`. Training ends before `tail`, early stopping uses `tail` to `first`, and the closes
    from `first` on are forecast.
    """

    series: Series
    parameters: dict[str, Any]
    tail: int
    first: int

    @property
    def made_at(self) -> npt.NDArray[np.intp]:
        """Indices t of the closes after which forecasts are made; each is of the close at t + 1, which is in the fold."""
        return np.arange(self.first - 1, len(self.series.close) - 1)


@dataclass
class Tried:
    """A candidate and its results on each fold.

    outputs: [T] per fold, as they enter the forecast at share 1. iterations: of each seed's network, per fold.
    """

    candidate: Candidate
    outputs: list[Floats] = field(default_factory=list)
    iterations: list[list[int]] = field(default_factory=list)


def folds(
    closes: pd.Series, cpi: pd.Series, calendar: dict[str, Any], split: pd.Timestamp, lag_days: int
) -> list[Fold]:
    """Return FOLDS consecutive folds of four years, the oldest first; the last one ends on the day before the split."""
    edges = [split - pd.DateOffset(years=FOLD_YEARS * number) for number in reversed(range(FOLDS + 1))]
    return [fold(closes, cpi, calendar, *pair, lag_days) for pair in itertools.pairwise(edges)]


def fold(
    closes: pd.Series,
    cpi: pd.Series,
    calendar: dict[str, Any],
    first: pd.Timestamp,
    end: pd.Timestamp,
    lag_days: int,
) -> Fold:
    """Return the fold from `first` to the day before `end`, with trend and spread fitted on the days before `first`."""
    seen = closes[closes.index < end]
    before = seen[seen.index < first]
    parameters = forecast_data.fit(before, cpi, calendar, lag_days)
    tail = int(seen.index.searchsorted(first - pd.DateOffset(years=TAIL_YEARS)))
    return Fold(forecast_data.series(seen, parameters), parameters, tail, len(before))


def fit(candidate: Candidate, fold: Fold, seed: int) -> forecast_network.Fitted:
    """Train a candidate's network on the days before a fold. Blocks while it trains."""
    series = fold.series
    inputs = (series.z if candidate.aim == "z" else series.adjusted)[: fold.first]
    following = inputs[1:]
    targets = following - inputs[:-1] if candidate.aim == "step" else following
    begin = 0
    if candidate.years is not None:
        begin = int(series.dates.searchsorted(series.dates[fold.tail] - pd.DateOffset(years=candidate.years)))
    loss = forecast_network.likelihood if candidate.kind == "spread" else forecast_network.squared
    return forecast_network.fit(
        inputs[begin:-1], targets[begin:], fold.tail - begin, loss, seed=seed, rate=candidate.rate
    )


def outputs(candidate: Candidate, weights: Any, series: Series, at: npt.NDArray[np.intp]) -> Floats:
    """Return the network's outputs after the closes at the indices `at`, [N]: changes as ln, or ln of a factor of the spread."""
    inputs = series.z if candidate.aim == "z" else series.adjusted
    raw = forecast_network.outputs(weights, inputs, at).astype(np.float64)
    if candidate.kind == "spread" or candidate.aim == "step":
        return raw
    return raw - series.adjusted[at] if candidate.aim == "level" else raw * series.spread[at]


def attempt(candidate: Candidate, spans: Sequence[Fold], on_fold: Callable[[str], None]) -> Tried:
    """Train and forecast on every fold, and average the outputs of several seeds. Blocks.

    on_fold: gets a line of text after each fold.
    """
    tried = Tried(candidate)
    for span in spans:
        fitted = [fit(candidate, span, seed) for seed in candidate.seeds]
        made = [outputs(candidate, run.weights, span.series, span.made_at) for run in fitted]
        tried.outputs.append(np.mean(made, axis=0))
        tried.iterations.append([run.iterations for run in fitted])
        on_fold(f"{candidate.name}: {span.series.dates[span.first].date()} on, {tried.iterations[-1]} iterations")
    return tried


def losses(kind: str, span: Fold, output: Floats, share: float) -> Floats:
    """Return the loss of each forecast, [T].

    For kind "change" it is the squared error of the close, in index points; for "spread" minus twice the log likelihood of
    the change in units of GARCH's spread, so that a skill of 0 means that spread unchanged.
    """
    at = span.made_at
    if kind == "spread":
        ratio = np.exp(2 * share * output)
        return np.asarray(np.log(ratio) + (beyond_line(span) / span.series.spread[at]) ** 2 / ratio)
    following = span.series.close[at + 1]
    return np.asarray((following - following * np.exp(share * output - beyond_line(span))) ** 2)


def beyond_line(span: Fold) -> Floats:
    """Return, [T], ln of each close of the fold over the forecast that the trend alone makes from the close before it.

    A CPI figure that is published on the day forecast is not used: it was not known on the day before.
    """
    at = np.append(span.made_at, len(span.series.close) - 1)
    days = np.diff(span.series.dates[at]) / np.timedelta64(1, "D")
    return np.asarray(np.diff(np.log(span.series.close[at])) - span.parameters["trend"]["slope"] * days)


def persistence(span: Fold) -> Floats:
    """Return the squared error, [T] in index points, of the last close as the forecast."""
    at = span.made_at
    return np.asarray((span.series.close[at + 1] - span.series.close[at]) ** 2)


def judge(tried: Tried, spans: Sequence[Fold]) -> dict[str, Any]:
    """Return a candidate's row in the table of candidates; its `share` is the one to ship.

    skill_of_folds: of a change, 1 - mean loss / mean loss of the last close; of a spread, nats of log likelihood gained on
    GARCH per day. t: Diebold-Mariano t of the loss against a share of 0, over all folds; each fold's losses are divided by
    its mean loss at share 0, so that a fold with high prices does not count for more.
    """
    kind = tried.candidate.kind
    pairs = list(zip(spans, tried.outputs, strict=True))
    base = [losses(kind, span, output, 0.0) for span, output in pairs]
    unit = [np.mean(loss) if kind == "change" else 1.0 for loss in base]
    curves = np.array(
        [
            [np.mean(losses(kind, span, output, share)) / scale for share in SHARES]
            for (span, output), scale in zip(pairs, unit, strict=True)
        ]
    )
    others = [np.arange(len(pairs)) != number for number in range(len(pairs))]
    own_out = [float(SHARES[np.argmin(curves[rest].mean(axis=0))]) for rest in others]
    made = [losses(kind, span, output, share) for (span, output), share in zip(pairs, own_out, strict=True)]
    gain = np.concatenate([(zero - loss) / scale for zero, loss, scale in zip(base, made, unit, strict=True)])
    spread_of_gain = float(np.std(gain, ddof=1))
    if kind == "change":
        skill = [1 - float(np.mean(loss) / np.mean(persistence(span))) for loss, span in zip(made, spans, strict=True)]
        whole = [1 - float(np.mean(losses(kind, *pair, 1.0)) / np.mean(persistence(pair[0]))) for pair in pairs]
    else:
        skill = [float(np.mean(zero - loss)) / 2 for zero, loss in zip(base, made, strict=True)]
        whole = [float(np.mean(zero - losses(kind, *pair, 1.0))) / 2 for zero, pair in zip(base, pairs, strict=True)]
    return {
        "candidate": tried.candidate.name,
        "kind": kind,
        "shippable": tried.candidate.shippable,
        "iterations": tried.iterations,
        "shares_of_folds": own_out,
        "share": float(SHARES[np.argmin(curves.mean(axis=0))]),
        "skill_of_folds": skill,
        "skill": float(np.mean(skill)),
        "skill_at_share_1": float(np.mean(whole)),
        "t": float(np.mean(gain) / spread_of_gain * np.sqrt(len(gain))) if spread_of_gain else 0.0,
    }


def choose(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """Return the row of the best candidate of a kind that the module can run; None if no gain is beyond chance."""
    able = [
        row for row in rows if row["kind"] == kind and row["shippable"] and row["share"] > 0 and row["t"] > SIGNIFICANT
    ]
    return max(able, key=lambda row: row["skill"], default=None)
