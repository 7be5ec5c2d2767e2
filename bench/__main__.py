"""Run benches, print tables and write JSON. Those that need Kafka start a broker (or find one) as the tests do.

python -m bench [NAME ...]            all, or those named
python -m bench compare [OLD] [NEW]   the kept ratios beside those of the latest run, or two files
python -m bench keep                  keep the ratios of the latest run, to compare later runs with
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import compare
from support.brokers import Broker, find_broker
from support.kafka import Kafka

BENCHES = {
    "arithmetic": False,
    "engine": False,
    "training": False,
    "path": True,
    "profile": True,
    "latency": True,
    "restore": True,
    "memory": True,
    "startup": True,
}
"""Module of this package -> whether it needs a broker: its `run` then takes (kafka, share), else (share)."""
PACKAGES = ("stream-scorer", "confluent-kafka", "numpy", "tensorflow")


def main() -> int:
    if sys.argv[1:2] == ["compare"]:
        return compare.main_compare(*map(Path, sys.argv[2:4]))
    if sys.argv[1:] == ["keep"]:
        return compare.main_keep()
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--out", type=Path, default=compare.LATEST, metavar="FILE", help="where the JSON goes")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a tenth of the records: shows that it runs, not how fast")
    size.add_argument("--full", action="store_true", help="five times the records: 10 million for memory")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    share = 0.1 if args.quick else 5.0 if args.full else 1.0
    results = run(args.names or list(BENCHES), share)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({**about(), "share": share, "results": results}, indent=1) + "\n")
    print(f"\nwritten to {args.out}")
    return 0


def run(names: list[str], share: float) -> dict[str, Any]:
    """Results by name. The broker starts with the first bench that needs it. Blocks until all are done."""
    broker: Broker | None = None
    results = {}
    try:
        for name in names:
            module = importlib.import_module(f"bench.{name}")
            print(f"\n{name}: {module.__doc__}\n", flush=True)
            if BENCHES[name]:
                broker = broker or find_broker()
                results[name] = module.run(Kafka(broker.servers), share)
            else:
                results[name] = module.run(share)
    finally:
        if broker is not None:
            broker.close()
    return results


def about() -> dict[str, Any]:
    """Machine, versions, commit and date of a run."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "machine": {"cpu": _field("/proc/cpuinfo", "model name"), "cores": os.cpu_count(), "memory_gb": _memory_gb()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "commit": commit.stdout.strip() or None,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _memory_gb() -> int:
    return round(int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9)


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


if __name__ == "__main__":
    sys.exit(main())
