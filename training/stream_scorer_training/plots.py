"""Draws the tutorial's pictures, and the demo's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

from stream_scorer_training.prepare import SPLIT, Prepared

INK, ACCENT, QUIET, RULE = "#1f2d3d", "#c8553d", "#588b8b", "#93a1ad"


def training_plots(
    folder: Path, prepared: Prepared, cpi: pd.Series, windows: dict[str, tuple[pd.Series, Any]]
) -> list[Path]:
    """Plot the S&P close, the CPI, the normalised close with its trend, the adjusted close, and each of `windows`.

    windows: title -> (what the tutorial calls observed, forecasts). Returns the paths of the files.
    """
    dates = prepared.normalized.index
    done = [
        _plot(
            folder / "sp500_daily_close.png",
            "S&P 500 daily close",
            "index points",
            lambda ax: _line(ax, prepared.close),
        ),
        _plot(folder / "cpi.png", "Consumer price index (CPIAUCSL)", "1982-84 = 100", lambda ax: _line(ax, cpi)),
    ]

    def normalized(ax: Any) -> None:
        _line(ax, prepared.normalized, "close / CPI")
        ax.plot(
            dates, prepared.trend.at(pd.DatetimeIndex(dates)), color=ACCENT, label="linear trend of the training part"
        )
        _split(ax)

    def adjusted(ax: Any) -> None:
        _line(ax, prepared.adjusted, "adjusted close")
        ax.axhline(0, color=QUIET, label="y = 0")
        _split(ax)

    done.append(_plot(folder / "sp500_cpi_normalized.png", "S&P 500 close / CPI", "CPI-scaled points", normalized))
    done.append(
        _plot(folder / "sp500_adjusted_normalized.png", "The same without its trend", "CPI-scaled points", adjusted)
    )
    return done + [_window_plot(folder / f"predicted_{name}.png", *window) for name, window in windows.items()]


def _window_plot(path: Path, observed: pd.Series, made: Any) -> Path:
    """Draw forecasts beside the last input of each window, as the tutorial does."""
    error = float(np.mean((np.asarray(made) - observed.to_numpy()) ** 2))

    def draw(ax: Any) -> None:
        _line(ax, observed, "last input (what the tutorial calls observed)")
        ax.plot(observed.index, made, color=ACCENT, linewidth=1, label=f"forecast for the day after (MSE {error:.6f})")

    title = f"Forecast and last input, {observed.index[0].date()} to {observed.index[-1].date()}"
    return _plot(path, title, "adjusted close", draw)


def loss_plot(path: Path, losses: list[float]) -> Path:
    """Draw the loss of each iteration. Returns the path."""

    def draw(ax: Any) -> None:
        ax.semilogy(np.arange(1, len(losses) + 1), losses, color=INK, linewidth=0.8)
        ax.set_xlabel("iteration")

    return _plot(path, "Mean squared error of each training batch", "MSE", draw)


def forecast_plot(
    path: Path, dates: pd.Index, observed: npt.ArrayLike, forecast: npt.ArrayLike, title: str, note: str
) -> Path:
    """Draw observed and forecast closes of the same dates, in index points, with `note` below. Returns the path."""

    def draw(ax: Any) -> None:
        ax.plot(dates, observed, color=INK, linewidth=1.2, label="what happened")
        ax.plot(dates, forecast, color=ACCENT, linewidth=1, label="forecast of the day before")
        ax.figure.text(0.01, 0.01, note, fontsize=8, color=QUIET)

    return _plot(path, title, "index points", draw)


def _plot(path: Path, title: str, unit: str, draw: Callable[[Any], None]) -> Path:
    figure, ax = plt.subplots(figsize=(12, 6), layout="constrained")
    try:
        ax.set_title(title, loc="left", color=INK)
        ax.set_ylabel(unit)
        ax.grid(axis="y", color=RULE, alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        draw(ax)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, loc="upper left")
        figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)
    return path


def _line(ax: Any, series: pd.Series, label: str | None = None) -> None:
    ax.plot(series.index, series.to_numpy(), color=INK, linewidth=0.9, label=label)


def _split(ax: Any) -> None:
    ax.axvline(pd.Timestamp(SPLIT), color=QUIET, linestyle="--", label="training | test")
