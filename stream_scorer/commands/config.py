"""stream-scorer config"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.items import done, read_bytes, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json
from stream_scorer.safe_text import say

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="set|show")
    verb(verbs, "set", "set the fleet's configuration").add_argument(
        "file", metavar="FILE", type=Path, help="YAML file"
    )
    verb(verbs, "show", "print the fleet's configuration", machine=True)


def run(args: argparse.Namespace) -> int:
    connect = fleet_of(args).connect
    if args.verb == "set":
        headers = {"Content-Type": "application/x-yaml"}
        answer = connect.call("PUT", "/1/config", read_bytes(args.file), subject="config set", headers=headers)
        done(args, "configuration set" if answer.status == 201 else "configuration replaced")
        return 0
    answer = connect.ask("GET", "/1/config", headers={"Accept": "application/json"})
    if answer.status == 404:
        raise SettingsError("the fleet is not configured. `stream-scorer config set FILE` does that.")
    if answer.headers.get("content-type", "").startswith("application/json"):
        print_json(answer.json())
    else:
        say(answer.text, end="" if answer.text.endswith("\n") else "\n")
    return 0
