"""stream-scorer policy"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.modelop.client.items import done, read_bytes, verb
from stream_scorer.modelop.client.models import POLICY_PREFIX
from stream_scorer.modelop.client.options import fleet_of, vendor_style

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="set|show")
    for name, text in (("set", "say which libraries models may import"), ("show", "print the import policy")):
        one = verb(verbs, name, text)
        one.add_argument("--type", default="python3", metavar="TYPE", help="type of model (default: %(default)s)")
        if name == "set":
            one.add_argument("file", metavar="FILE", nargs="?", type=Path, help="YAML (default: stdin)")
            one.add_argument("--preinstall", action="store_true", help="install now what it says to install")


def run(args: argparse.Namespace) -> int:
    engine, kind = fleet_of(args).engine(), POLICY_PREFIX + args.type.lower()
    if args.verb == "show":
        text = engine.call("GET", "/1/policy", what="policy", headers={"Accept": kind}).text
        print(text, end="" if text.endswith("\n") else "\n")
        return 0
    query = {"preinstall": str(args.preinstall)}
    headers = {"Content-Type": kind}
    # Installing takes its time.
    engine.call("PUT", "/1/policy", read_bytes(args.file), what="policy", query=query, headers=headers, timeout_s=1800)
    done(args, "import policy set")
    return 0
