"""stream-scorer policy"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.modelop.client.items import done, read_bytes, verb
from stream_scorer.modelop.client.models import POLICY_PREFIX
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.safe_text import say

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="set|show")
    for name, text in (("set", "set which libraries models may import"), ("show", "print the import policy")):
        parser_of_verb = verb(verbs, name, text)
        parser_of_verb.add_argument(
            "--type",
            default="python3",
            metavar="TYPE",
            help="type of models that the policy is for (default: %(default)s)",
        )
        if name == "set":
            parser_of_verb.add_argument("file", metavar="FILE", nargs="?", type=Path, help="YAML file (default: stdin)")
            parser_of_verb.add_argument(
                "--preinstall", action="store_true", help="install the libraries of the policy now"
            )


def run(args: argparse.Namespace) -> int:
    engine, kind = fleet_of(args).engine(), POLICY_PREFIX + args.type.lower()
    if args.verb == "show":
        text = engine.call("GET", "/1/policy", subject="policy", headers={"Accept": kind}).text
        say(text, end="" if text.endswith("\n") else "\n")
        return 0
    query = {"preinstall": str(args.preinstall)}
    headers = {"Content-Type": kind}
    # Installing libraries may take minutes.
    engine.call(
        "PUT", "/1/policy", read_bytes(args.file), subject="policy", query=query, headers=headers, timeout_s=1800
    )
    done(args, "import policy set")
    return 0
