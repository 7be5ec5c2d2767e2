"""Rounds -> medians, the ratios that matter, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures import HIGHER, LOWER, medians_of

Figures = Mapping[str, float]
"""Of one contestant in one round: records_per_s, cpu_us, worst; of the arithmetic alone: cpu_us."""
Round = Mapping[str, Figures]


@dataclass(frozen=True)
class Ratio:
    """`above` / `below`, taken within each round: what slowed one round slowed both."""

    text: str
    job: str
    above: str
    below: str
    figure: str
    better: str
    bound: float
    """Hoped for; nothing is asserted."""


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
    """Contestant -> the median of each of its figures over the rounds it got through."""
    names = dict.fromkeys(name for one in rounds for name in one)
    return {name: medians_of([one[name] for one in rounds if name in one]) for name in names}


def ratios(rounds: Sequence[Round], one: Ratio) -> list[float]:
    """One of each round that has both."""
    both = [(found[one.above], found[one.below]) for found in rounds if one.above in found and one.below in found]
    return [above[one.figure] / below[one.figure] for above, below in both]


def table(job: str, rounds: Sequence[Round], promises: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    """Of one job: the fastest first, then who failed and why, then the ratios."""
    lines = [f"{job:20} {'promise':28} {'records/s':>10} {'CPU us/record':>14} {'off by':>8}"]
    found = medians(rounds)
    for name in sorted(found, key=lambda one: found[one]["cpu_us"]):
        figures = found[name]
        speed = f"{figures[_SPEED]:,.0f}" if _SPEED in figures else ""
        worst = f"{figures['worst']:.1g}" if "worst" in figures else ""
        lines.append(f"{name:20} {promises.get(name, ''):28} {speed:>10} {figures[_CPU]:14,.1f} {worst:>8}")
    lines += [f"{name:20} {promises.get(name, ''):28} FAILED: {reason}" for name, reason in reasons.items()]
    lines.append("")
    for one in RATIOS:
        if one.job == job and (found_ratios := ratios(rounds, one)):
            sign = ">=" if one.better == HIGHER else "<="
            lines.append(f"{one.text:44} {median(found_ratios):8.2f}   hoped {sign} {one.bound:g}")
    return "\n".join(lines)
