"""python -m bench.peers: the service beside its peers on one broker; a table, and JSON with every round.

Builds what it needs: environments and jars under the user's cache, a broker as the tests do.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.__main__ import about
from bench.attainable import attainable_us
from bench.figures import ratio
from bench.peers.environments import Unavailable
from bench.peers.jobs import JOBS
from bench.peers.measure import Failed, measure
from bench.peers.registry import CONTESTANTS, Contestant
from bench.peers.report import RATIOS, medians, ratios, table
from bench.processes import ROOT
from support.brokers import find_broker
from support.kafka import Kafka

RESULTS = ROOT / "bench" / "results" / "peers.json"
ARITHMETIC = "arithmetic"
PROMISES = {contestant.name: contestant.promise for contestant in CONTESTANTS} | {
    ARITHMETIC: "no Kafka: the products and gates"
}


def main() -> int:
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt does: ends what was started
    share = 0.1 if args.quick else 1.0
    jobs = [args.job] if args.job else list(JOBS)
    contestants = [contestant for contestant in CONTESTANTS if not args.only or contestant.name in args.only]
    pairs = [(job, contestant) for job in jobs for contestant in contestants if job in contestant.records]
    rounds: dict[str, list[dict[str, dict[str, float]]]] = {job: [] for job in jobs}
    reasons: dict[str, dict[str, str]] = {job: {} for job in jobs}
    broker = find_broker()
    try:
        kafka = Kafka(broker.servers)
        for number in range(args.rounds or (1 if args.quick else 3)):
            for job in jobs:
                rounds[job].append({})
            if "lstm" in jobs and (not args.only or ARITHMETIC in args.only):
                rounds["lstm"][-1] |= _arithmetic()
            for job, contestant in _shuffled(pairs, number):
                if contestant.name in reasons[job]:
                    continue  # it would fail again, after a long wait
                try:
                    figures = _figures(kafka, job, contestant, share)
                except (Failed, Unavailable) as error:
                    reasons[job][contestant.name] = str(error)
                    print(f"  {number + 1}. {job} {contestant.name}: {error}", flush=True)
                else:
                    rounds[job][-1][contestant.name] = figures
                    text = ", ".join(f"{name} {value:,.4g}" for name, value in figures.items())
                    print(f"  {number + 1}. {job} {contestant.name}: {text}", flush=True)
    finally:
        broker.close()
    for job in jobs:
        print(f"\n{table(job, rounds[job], PROMISES, reasons[job])}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = {**about(), "share": share, "results": _results(rounds, reasons)}
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten to {args.out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    names = [*(contestant.name for contestant in CONTESTANTS), ARITHMETIC]
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, one round: shows that it runs")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3")
    parser.add_argument("--job", choices=list(JOBS), help="default: both")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="where the JSON goes")
    return parser.parse_args()


def _shuffled(pairs: list[tuple[str, Contestant]], number: int) -> Iterator[tuple[str, Contestant]]:
    """Another order each round, the same in each run: no contestant always follows the same other."""
    return iter(random.Random(number).sample(pairs, len(pairs)))


def _figures(kafka: Kafka, job: str, contestant: Contestant, share: float) -> dict[str, float]:
    measured = measure(kafka, contestant, job, share)
    return {
        "records_per_s": measured.records / measured.seconds,
        "cpu_us": measured.cpu_s / measured.records * 1e6,
        "worst": measured.worst,
    }


def _arithmetic() -> dict[str, dict[str, float]]:
    """The cost of the lstm's products and gates at the best batch width, in a process of its own."""
    return {ARITHMETIC: {"cpu_us": attainable_us()}}


def _results(rounds: dict[str, Any], reasons: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        job: {
            "medians": medians(measured),
            "failed": reasons[job],
            "ratios": {
                wanted.text: ratio(values, wanted.better)
                for wanted in RATIOS
                if wanted.job == job and (values := ratios(measured, wanted))
            },
            "rounds": measured,
        }
        for job, measured in rounds.items()
    }


if __name__ == "__main__":
    sys.exit(main())
