"""Fits the ends of the forecaster's interval: where they start, and by how much each miss moves them."""

from __future__ import annotations

import numpy as np

from stream_scorer_training.forecast_data import Floats, Parameters

STEPS = (0.0, 0.005, 0.01, 0.02, 0.05)
"""Candidates for the step by which a miss moves its end, in spreads."""


def fit(scores: Floats, spreads: Floats, parameters: Parameters) -> list[dict[str, float]]:
    """Set q_low, q_high and step in `parameters`. Returns a row of figures for each step that was tried.

    The ends start at quantiles of `scores` (split conformal, Vovk et al. 2005). The step is the one with the least mean
    interval score (Gneiting and Raftery 2007) on the second half of the scores, with starts from the first half.

    Args:
        scores: [T], in order of time, of forecasts out of sample: ln(close / forecast), in spreads.
        spreads: [T], of each forecast, as ln.
    """
    interval = parameters["interval"]
    rows = tried(scores, spreads, interval["level"], interval["least"])
    q_low, q_high = starts(scores, interval["level"])
    interval.update(q_low=q_low, q_high=q_high, step=best(rows)["step"])
    return rows


def tried(scores: Floats, spreads: Floats, level: float, least: float) -> list[dict[str, float]]:
    """Return for each step the figures of the second half of the scores, with starts from the first half."""
    half = len(scores) // 2
    later, ends = scores[half:], starts(scores[:half], level)
    return [
        {"step": step, **figures(later, *follow(later, *ends, step, level, least), level, spreads[half:])}
        for step in STEPS
    ]


def best(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the row with the least interval score."""
    return min(rows, key=lambda row: row["score"])


def starts(scores: Floats, level: float) -> tuple[float, float]:
    """Return (q_low, q_high), in spreads: as many scores lie below -q_low as above q_high, and `level` of them between."""
    share = (1 - level) / 2
    return -float(np.quantile(scores, share)), float(np.quantile(scores, 1 - share))


def follow(
    scores: Floats, q_low: float, q_high: float, step: float, level: float, least: float
) -> tuple[Floats, Floats]:
    """Return both ends, [T] each in spreads, as they are before each score. The module moves them after it.

    step: how far a miss moves its end. least: an end is never nearer than this to the forecast.
    """
    share = (1 - level) / 2
    lows, highs = np.empty(len(scores)), np.empty(len(scores))
    for at, score in enumerate(scores):
        lows[at], highs[at] = q_low, q_high
        q_low = max(q_low + step * ((score < -q_low) - share), least)
        q_high = max(q_high + step * ((score > q_high) - share), least)
    return lows, highs


def figures(scores: Floats, low: Floats, high: Floats, level: float, spreads: Floats) -> dict[str, float]:
    """Return the figures of an interval with the ends `low` and `high`, [T] in spreads.

    coverage: share of scores inside. below, above: shares of scores outside.
    width, score: means, as ln, so about a fraction of the close. The score is the width plus 2 / (1 - level) times the
    distance of each miss.
    """
    under, over = np.maximum(-low - scores, 0), np.maximum(scores - high, 0)
    return {
        "coverage": float(np.mean((under == 0) & (over == 0))),
        "below": float(np.mean(under > 0)),
        "above": float(np.mean(over > 0)),
        "width": float(np.mean(spreads * (low + high))),
        "score": float(np.mean(spreads * (low + high + 2 / (1 - level) * (under + over)))),
    }
