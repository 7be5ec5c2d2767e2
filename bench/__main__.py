"""Run benches, on a broker found as the tests find one where they need it; print tables, write JSON.

python -m bench [NAME ...]            all, or those named
python -m bench compare [OLD] [NEW]   ratios then and now: the kept ones and the latest, or two files
python -m bench keep                  keep the latest's ratios, to compare later ones with
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
"""Module of this package -> whether it needs a broker; then its `run` gets (kafka, share), else (share)."""
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
    size.add_argument("--quick", action="store_true", help="a tenth of the records: whether it runs, not how fast")
    size.add_argument("--full", action="store_true", help="five times the records: 10 million for memory")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    share = 0.1 if args.quick else 5.0 if args.full else 1.0
    found = run(args.names or list(BENCHES), share)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({**about(), "share": share, "results": found}, indent=1) + "\n")
    print(f"\nwritten to {args.out}")
    return 0


def run(names: list[str], share: float) -> dict[str, Any]:
    """Results by name. The broker starts for the first that needs one."""
    broker: Broker | None = None
    found = {}
    try:
        for name in names:
            module = importlib.import_module(f"bench.{name}")
            print(f"\n{name}: {module.__doc__}\n", flush=True)
            if BENCHES[name]:
                broker = broker or find_broker()
                found[name] = module.run(Kafka(broker.servers), share)
            else:
                found[name] = module.run(share)
    finally:
        if broker is not None:
            broker.close()
    return found


def about() -> dict[str, Any]:
    """Where, with what and when."""
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
