"""Charts as SVG text: lines with a band, and bars. They need no library and are sharp at any size."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_scorer.prices.history import Floats
from stream_scorer.safe_text import one_line

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 30
MAX_POINTS = 1500
"""Most points of a line: more would be finer than a pixel."""


@dataclass(frozen=True)
class Line:
    """values: [T]; NaN leaves a gap. role: CSS class of the line: ink, accent or quiet."""

    label: str
    values: Floats
    role: str = "ink"


@dataclass(frozen=True)
class Band:
    label: str
    low: Floats
    high: Floats


def lines(labels: Sequence[str], drawn: Sequence[Line], unit: str, band: Band | None = None) -> str:
    """Lines over `labels` [T], one a point, with a legend above. `unit` follows each number of the axis."""
    kept = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MAX_POINTS)).astype(int))
    values = [line.values[kept] for line in drawn] + ([band.low[kept], band.high[kept]] if band else [])
    scale = _Scale(np.concatenate(values), len(kept))
    parts = [*scale.grid(unit), *_ticks([labels[at] for at in kept], scale)]
    if band:
        points = np.flatnonzero(~np.isnan(band.low[kept]) & ~np.isnan(band.high[kept])).tolist()
        if points:
            upper = [scale.point(at, band.high[kept][at]) for at in points]
            lower = [scale.point(at, band.low[kept][at]) for at in points[::-1]]
            parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
    parts += [_path(line, line.values[kept], scale) for line in drawn]
    legend = [("band", band.label)] if band else []
    return _picture(parts, [(line.role, line.label) for line in drawn] + legend)


def bars(labels: Sequence[str], values: Sequence[float], unit: str, mark: float | None = None) -> str:
    """One bar a label, from `mark` (default: zero), where a line is drawn, to the value."""
    base = 0.0 if mark is None else mark
    scale = _Scale(np.array([*values, base], np.float64), len(values) + 1)
    step = scale.x(1) - scale.x(0)
    # Every label if there is room for them, else every second, fifth, ...
    every = next(count for count in (1, 2, 5, 10, 20, 50, 1000) if step * count >= 44)
    parts = scale.grid(unit)
    for at, (label, value) in enumerate(zip(labels, values, strict=True)):
        top, bottom = sorted((scale.y(value), scale.y(base)))
        left = scale.x(at) + 0.15 * step
        role = "accent" if value < base else "quiet"
        parts.append(
            f'<rect class="{role}" x="{left:.1f}" y="{top:.1f}" width="{0.7 * step:.1f}" height="{max(bottom - top, 0.5):.1f}">'
            f"<title>{html.escape(one_line(label))}: {value:.4g}</title></rect>"
        )
        if at % every == 0:
            parts.append(_text(scale.x(at) + 0.5 * step, HEIGHT - 10, label, "middle"))
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{scale.y(base):.1f}" y2="{scale.y(base):.1f}"/>'
    )
    return _picture(parts, [])


class _Scale:
    """Index and value -> position in the picture. The range of the values is widened to round numbers."""

    def __init__(self, values: Floats, count: int) -> None:
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        if low == high:
            low, high = low - 1, high + 1
        self.step = _round_step((high - low) / 4)
        self.low, self.high = math.floor(low / self.step) * self.step, math.ceil(high / self.step) * self.step
        self.count = max(count - 1, 1)

    def x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self.count

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)

    def point(self, at: float, value: float) -> str:
        return f"{self.x(at):.1f},{self.y(value):.1f}"

    def grid(self, unit: str) -> list[str]:
        parts = []
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(value):.1f}" y2="{self.y(value):.1f}"/>'
            )
            parts.append(
                _text(
                    LEFT - 8, self.y(value) + 4, f"{0.0 if abs(value) < self.step / 1e6 else value:,.10g}{unit}", "end"
                )
            )
        return parts


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _path(line: Line, values: Floats, scale: _Scale) -> str:
    commands, pen = [], "M"
    for at, value in enumerate(values.tolist()):
        if math.isnan(value):
            pen = "M"
            continue
        commands.append(f"{pen}{scale.point(at, value)}")
        pen = "L"
    return f'<path class="line {line.role}" d="{"".join(commands)}"/>'


def _ticks(labels: Sequence[str], scale: _Scale) -> list[str]:
    """About seven dates along the axis; the first and last stay within the picture."""
    places = sorted(set(np.linspace(0, len(labels) - 1, min(7, len(labels))).astype(int).tolist()))
    anchors = {places[0]: "start", places[-1]: "end"}
    return [_text(scale.x(at), HEIGHT - 10, labels[at], anchors.get(at, "middle")) for at in places]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(one_line(text))}</text>'


def _picture(parts: Sequence[str], legend: Sequence[tuple[str, str]]) -> str:
    keys = "".join(f'<span class="key {role}">{html.escape(one_line(label))}</span>' for role, label in legend)
    head = f'<p class="legend">{keys}</p>' if keys else ""
    return f'{head}<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
