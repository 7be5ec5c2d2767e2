"""python -m bench [NAME ...]: run benchmarks on a broker found as the tests find one, print a table, write JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from bench import path, restore
from tests.support.brokers import find_broker
from tests.support.kafka import Kafka

RESULTS = Path(__file__).parent / "results"
BENCHES = {"path": path.run, "restore": restore.run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--out", type=Path, default=RESULTS / "latest.json", metavar="FILE", help="where the JSON goes")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records: whether it runs, not how fast")
    args = parser.parse_args()
    broker = find_broker()
    found: dict[str, object] = {}
    try:
        for name in args.names or BENCHES:
            print(f"\n{name}: {sys.modules[f'bench.{name}'].__doc__}\n", flush=True)
            found[name] = BENCHES[name](Kafka(broker.servers), 0.1 if args.quick else 1.0)
    finally:
        broker.close()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "results": found}, indent=1) + "\n")
    print(f"\nwritten to {args.out}")
    return 0


def machine() -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ("stream-scorer", "confluent-kafka", "numpy", "tensorflow")
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "commit": commit.stdout.strip() or None,
    }


if __name__ == "__main__":
    sys.exit(main())
