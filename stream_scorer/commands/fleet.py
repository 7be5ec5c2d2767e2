"""stream-scorer fleet"""

from __future__ import annotations

import argparse
import time

from stream_scorer.errors import StreamScorerError
from stream_scorer.modelop.client.options import add_server_flags, fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json, print_table

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_server_flags(parser, machine=True)
    parser.add_argument("--wait", action="store_true", help="wait without limit until all instances are healthy")


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    while True:
        try:
            instances = fleet.instances()
        except StreamScorerError:
            if not args.wait:
                raise
            instances = []
        if not args.wait or (instances and all(instance.get("health") == "ok" for instance in instances)):
            break
        time.sleep(0.25)
    if args.json:
        print_json(instances)
    elif args.verbose:
        connect = fleet.connect.get("/1/health", subject="connect")
        rows = [{"name": "connect", "api": "connect", "health": "ok", **connect}, *instances]
        fields = ("name", "api", "health", "release", "built_on")
        print_table(
            ["Name", "API", "Health", "Release", "Built on"], [[row.get(field) for field in fields] for row in rows]
        )
    else:
        print_table(
            ["Name", "API", "Health"], [[row.get(field) for field in ("name", "api", "health")] for row in instances]
        )
    return 0
