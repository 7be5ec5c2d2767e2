"""Rounds -> medians, the ratios that matter, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures import HIGHER, LOWER, medians_of

Figures = Mapping[str, float]
"""Of a contestant in a round: records_per_s, cpu_us, worst; of the arithmetic alone: cpu_us."""
Round = Mapping[str, Figures]


@dataclass(frozen=True)
class Ratio:
    """`above` / `below` within each round: a slow moment of the machine slows both."""

    text: str
    job: str
    above: str
    below: str
    figure: str
    better: str
    bound: float
    """The value hoped for; it is printed, not asserted."""


_SPEED, _CPU = "records_per_s", "cpu_us"
RATIOS = [
    Ratio("service / seed's way, records/s", "lstm", "stream-scorer", "bare-loop", _SPEED, HIGHER, 12),
    Ratio("seed's way / service, CPU", "lstm", "bare-loop", "stream-scorer", _CPU, HIGHER, 12),
    Ratio("service / arithmetic alone, CPU", "lstm", "stream-scorer", "arithmetic", _CPU, LOWER, 1.3),
    Ratio("two workers / one, records/s", "lstm", "two-workers", "one-worker", _SPEED, HIGHER, 1.8),
    Ratio("at least once / exactly once, records/s", "lstm", "stream-scorer-alo", "stream-scorer", _SPEED, LOWER, 1.1),
    Ratio("service / Quix, records/s", "lstm", "stream-scorer", "quix", _SPEED, HIGHER, 5),
    Ratio("Quix / service, CPU", "lstm", "quix", "stream-scorer", _CPU, HIGHER, 5),
    Ratio("service / Kafka Streams, CPU", "mean", "stream-scorer", "kafka-streams", _CPU, LOWER, 1),
    Ratio(
        "service / Kafka Streams with headers, CPU", "mean", "stream-scorer", "kafka-streams-headers", _CPU, LOWER, 1
    ),
    Ratio("service / Kafka Streams, records/s", "mean", "stream-scorer", "kafka-streams", _SPEED, HIGHER, 1),
    Ratio("service / copy loop, CPU", "mean", "stream-scorer", "copy-loop", _CPU, LOWER, 2),
    Ratio("at least once / exactly once, records/s", "mean", "stream-scorer-alo", "stream-scorer", _SPEED, LOWER, 1.1),
    Ratio("service / Quix, records/s", "mean", "stream-scorer", "quix", _SPEED, HIGHER, 5),
    Ratio("Quix / service, CPU", "mean", "quix", "stream-scorer", _CPU, HIGHER, 5),
]


def medians(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Contestant -> the median of each of its figures over the rounds that it completed."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: medians_of([figures[name] for figures in rounds if name in figures]) for name in names}


def ratios(rounds: Sequence[Round], ratio: Ratio) -> list[float]:
    """Its value in each round that has both contestants."""
    names = {ratio.above, ratio.below}
    both = [(figures[ratio.above], figures[ratio.below]) for figures in rounds if names <= figures.keys()]
    return [above[ratio.figure] / below[ratio.figure] for above, below in both]


def table(job: str, rounds: Sequence[Round], promises: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    """The table of a job: contestants by CPU time, then those that failed and why, then the ratios."""
    lines = [f"{job:20} {'promise':28} {'records/s':>10} {'CPU us/record':>14} {'off by':>8}"]
    by_name = medians(rounds)
    for name in sorted(by_name, key=lambda name: by_name[name]["cpu_us"]):
        figures = by_name[name]
        speed = f"{figures[_SPEED]:,.0f}" if _SPEED in figures else ""
        worst = f"{figures['worst']:.1g}" if "worst" in figures else ""
        lines.append(f"{name:20} {promises.get(name, ''):28} {speed:>10} {figures[_CPU]:14,.1f} {worst:>8}")
    lines += [f"{name:20} {promises.get(name, ''):28} FAILED: {reason}" for name, reason in reasons.items()]
    lines.append("")
    for ratio in RATIOS:
        if ratio.job == job and (values := ratios(rounds, ratio)):
            sign = ">=" if ratio.better == HIGHER else "<="
            lines.append(f"{ratio.text:44} {median(values):8.2f}   hoped {sign} {ratio.bound:g}")
    return "\n".join(lines)
