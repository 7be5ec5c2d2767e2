"""Which network the forecaster ships: candidates tried walk-forward, on days before the test part only.

Each fold fits trend and spread on all days before it, trains on the days up to three years before it, stops by
those three years, and forecasts the days of the fold. A candidate's share (how much of its output is taken) is
fitted on the other folds, so that no fold judges a share of its own making.
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
"""Diebold-Mariano t that a network has to reach on the folds together, to be shipped."""
SHARES = np.arange(21) / 20


@dataclass(frozen=True)
class Candidate:
    """kind: "change" (of the close) or "spread" (of that change). aim: what the network is shown and is to say.

    aim "z": changes in spreads. "level": adjusted closes, and the next one is to be said, as in the tutorial.
    "step": adjusted closes, and the change to the next one. years: of training before the tail, None for all.
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
    """All closes before its end, and the parts of them: training before `tail`, judging from `first`, as indices.

    The forecast made at index t is of the close at t + 1, which lies in the fold for t from first - 1 to the last but one.
    """

    series: Series
    parameters: dict[str, Any]
    tail: int
    first: int

    @property
    def made_at(self) -> npt.NDArray[np.intp]:
        return np.arange(self.first - 1, len(self.series.close) - 1)


@dataclass
class Tried:
    """What a candidate did on each fold: outputs of its network, weighed as they enter the forecast at share 1."""

    candidate: Candidate
    outputs: list[Floats] = field(default_factory=list)
    iterations: list[list[int]] = field(default_factory=list)


def folds(
    closes: pd.Series, cpi: pd.Series, calendar: dict[str, Any], split: pd.Timestamp, lag_days: int
) -> list[Fold]:
    """Consecutive spans of four years that end with the day before the split, the oldest first."""
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
    """Fitted on the days before `first`, to be judged on those from there to the day before `end`."""
    seen = closes[closes.index < end]
    before = seen[seen.index < first]
    parameters = forecast_data.fit(before, cpi, calendar, lag_days)
    tail = int(seen.index.searchsorted(first - pd.DateOffset(years=TAIL_YEARS)))
    return Fold(forecast_data.series(seen, parameters), parameters, tail, len(before))


def fit(candidate: Candidate, fold: Fold, seed: int) -> forecast_network.Fitted:
    """Train a candidate's network on what lies before a fold."""
    found = fold.series
    inputs = (found.z if candidate.aim == "z" else found.adjusted)[: fold.first]
    following = inputs[1:]
    targets = following - inputs[:-1] if candidate.aim == "step" else following
    begin = 0
    if candidate.years is not None:
        begin = int(found.dates.searchsorted(found.dates[fold.tail] - pd.DateOffset(years=candidate.years)))
    loss = forecast_network.likelihood if candidate.kind == "spread" else forecast_network.squared
    return forecast_network.fit(
        inputs[begin:-1], targets[begin:], fold.tail - begin, loss, seed=seed, rate=candidate.rate
    )


def outputs(candidate: Candidate, weights: Any, series: Series, at: npt.NDArray[np.intp]) -> Floats:
    """The network's say after the closes `at`: of a change, as ln; of a spread, as ln of a factor."""
    inputs = series.z if candidate.aim == "z" else series.adjusted
    found = forecast_network.outputs(weights, inputs, at).astype(np.float64)
    if candidate.kind == "spread" or candidate.aim == "step":
        return found
    return found - series.adjusted[at] if candidate.aim == "level" else found * series.spread[at]


def attempt(candidate: Candidate, spans: Sequence[Fold], on_fold: Callable[[str], None]) -> Tried:
    """Train and forecast on every fold; outputs of several seeds are averaged."""
    tried = Tried(candidate)
    for span in spans:
        fitted = [fit(candidate, span, seed) for seed in candidate.seeds]
        made = [outputs(candidate, one.weights, span.series, span.made_at) for one in fitted]
        tried.outputs.append(np.mean(made, axis=0))
        tried.iterations.append([one.iterations for one in fitted])
        on_fold(f"{candidate.name}: {span.series.dates[span.first].date()} on, {tried.iterations[-1]} iterations")
    return tried


def losses(kind: str, span: Fold, output: Floats, share: float) -> Floats:
    """Of each forecast: squared error of the close in points, or minus twice the log likelihood of the change.

    The latter is of z relative to the spread of GARCH, so that 0 skill is that spread unchanged.
    """
    at = span.made_at
    if kind == "spread":
        ratio = np.exp(2 * share * output)
        return np.asarray(np.log(ratio) + (beyond_line(span) / span.series.spread[at]) ** 2 / ratio)
    following = span.series.close[at + 1]
    return np.asarray((following - following * np.exp(share * output - beyond_line(span))) ** 2)


def beyond_line(span: Fold) -> Floats:
    """ln of each judged close over what the trend's line alone makes of the one before it.

    A CPI figure that comes out on the day forecast has no part in it: it was not known the day before.
    """
    at = np.append(span.made_at, len(span.series.close) - 1)
    days = np.diff(span.series.dates[at]) / np.timedelta64(1, "D")
    return np.asarray(np.diff(np.log(span.series.close[at])) - span.parameters["trend"]["slope"] * days)


def persistence(span: Fold) -> Floats:
    """Squared error of the last close as the forecast."""
    at = span.made_at
    return np.asarray((span.series.close[at + 1] - span.series.close[at]) ** 2)


def judge(tried: Tried, spans: Sequence[Fold]) -> dict[str, Any]:
    """A row of the table of candidates, and the share to ship.

    skill: per fold, of a change 1 - mean loss over that of the last close; of a spread the gain in mean log
    likelihood over GARCH's, in nats a day. t: Diebold-Mariano of the loss against a share of 0, folds together,
    each weighed by its own mean loss at share 0 so that none counts for its level of prices.
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
        skill = [1 - float(np.mean(one) / np.mean(persistence(span))) for one, span in zip(made, spans, strict=True)]
        whole = [1 - float(np.mean(losses(kind, *pair, 1.0)) / np.mean(persistence(pair[0]))) for pair in pairs]
    else:
        skill = [float(np.mean(zero - one)) / 2 for zero, one in zip(base, made, strict=True)]
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
    """The best candidate of a kind that the module can run, if it adds anything beyond chance."""
    able = [
        row for row in rows if row["kind"] == kind and row["shippable"] and row["share"] > 0 and row["t"] > SIGNIFICANT
    ]
    return max(able, key=lambda row: row["skill"], default=None)
