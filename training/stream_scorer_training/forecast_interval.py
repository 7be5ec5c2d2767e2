"""The ends of the forecaster's interval: where they start, and how fast they follow."""

from __future__ import annotations

import numpy as np

from stream_scorer_training.forecast_data import Floats, Parameters

STEPS = (0.0, 0.005, 0.01, 0.02, 0.05)


def fit(scores: Floats, spreads: Floats, parameters: Parameters) -> list[dict[str, float]]:
    """Put q_low, q_high and step into `parameters`; a row for each step that was tried.

    Args:
        scores: [T], in order of time, of forecasts out of sample: ln(close / forecast) in spreads. The starts are
            its quantiles (split conformal, Vovk et al. 2005); the step is the one of the least mean interval score
            (Gneiting and Raftery 2007) on the second half, with starts from the first.
        spreads: [T], as ln, of each forecast.
    """
    interval = parameters["interval"]
    rows = tried(scores, spreads, interval["level"], interval["least"])
    q_low, q_high = starts(scores, interval["level"])
    interval.update(q_low=q_low, q_high=q_high, step=best(rows)["step"])
    return rows


def tried(scores: Floats, spreads: Floats, level: float, least: float) -> list[dict[str, float]]:
    """Figures of the second half for each step, with starts from the first half."""
    half = len(scores) // 2
    later, ends = scores[half:], starts(scores[:half], level)
    return [
        {"step": step, **figures(later, *follow(later, *ends, step, level, least), level, spreads[half:])}
        for step in STEPS
    ]


def best(rows: list[dict[str, float]]) -> dict[str, float]:
    return min(rows, key=lambda row: row["score"])


def starts(scores: Floats, level: float) -> tuple[float, float]:
    """Distances of the two ends, in spreads, that as many scores lie below as above."""
    share = (1 - level) / 2
    return -float(np.quantile(scores, share)), float(np.quantile(scores, 1 - share))


def follow(
    scores: Floats, q_low: float, q_high: float, step: float, level: float, least: float
) -> tuple[Floats, Floats]:
    """Both ends before each score, as the module moves them after it."""
    share = (1 - level) / 2
    lows, highs = np.empty(len(scores)), np.empty(len(scores))
    for at, score in enumerate(scores):
        lows[at], highs[at] = q_low, q_high
        q_low = max(q_low + step * ((score < -q_low) - share), least)
        q_high = max(q_high + step * ((score > q_high) - share), least)
    return lows, highs


def figures(scores: Floats, low: Floats, high: Floats, level: float, spreads: Floats) -> dict[str, float]:
    """coverage; below, above: shares of misses; width and score as ln, hence about a share of the close.

    score: the width plus 2 / (1 - level) for each unit of a miss.
    """
    under, over = np.maximum(-low - scores, 0), np.maximum(scores - high, 0)
    return {
        "coverage": float(np.mean((under == 0) & (over == 0))),
        "below": float(np.mean(under > 0)),
        "above": float(np.mean(over > 0)),
        "width": float(np.mean(spreads * (low + high))),
        "score": float(np.mean(spreads * (low + high + 2 / (1 - level) * (under + over)))),
    }
