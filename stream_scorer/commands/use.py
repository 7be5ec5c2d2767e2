"""stream-scorer use"""

from __future__ import annotations

import argparse
import dataclasses

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import saved
from stream_scorer.modelop.client.options import add_server_flags, fleet_of, vendor_style
from stream_scorer.safe_text import one_line, say

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="INSTANCE",
        nargs="?",
        help="name of an instance, as `fleet` lists it (default: print the one in use)",
    )
    add_server_flags(parser)


def run(args: argparse.Namespace) -> int:
    kept = saved.load()
    if args.name is None:
        if kept.target:
            say(one_line(kept.target))
        return 0
    fleet = fleet_of(args)
    instances = fleet.instances(name=args.name)
    if not instances:
        raise SettingsError(f"no instance {args.name!r} at {fleet.server.url}. `stream-scorer fleet` lists them.")
    saved.save(
        dataclasses.replace(kept, preferred={**kept.preferred, instances[0]["api"]: args.name}, target=args.name)
    )
    if args.verbose:
        say(f"{one_line(args.name)} is the {one_line(instances[0]['api'])} in use")
    return 0
