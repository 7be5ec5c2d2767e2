"""stream-scorer sensor"""

from __future__ import annotations

import argparse

from stream_scorer.modelop.client.fleet_client import Fleet, Service, quoted
from stream_scorer.modelop.client.items import add_item_verbs, done, run_item_verb, verb
from stream_scorer.modelop.client.options import fleet_of, target_of, vendor_style
from stream_scorer.modelop.client.show import print_json, print_names, print_table
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    metavar = "add|list|show|remove|install|inspect|uninstall|points"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=metavar)
    add_item_verbs(verbs, "sensor")
    install = verb(
        verbs, "install", "install a sensor in the instance that --engine or `use` names, else in the first engine"
    )
    install.add_argument("name", metavar="NAME")
    inspect = verb(verbs, "inspect", "list the installed sensors", machine=True)
    inspect.add_argument("id", metavar="ID", nargs="?", type=whole_number(0))
    verb(verbs, "uninstall", "uninstall a sensor").add_argument("id", metavar="ID", type=whole_number(0))
    verb(verbs, "points", "list the points where a sensor can be installed", machine=True)


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    if args.verb in ("add", "list", "show", "remove"):
        return run_item_verb("sensor", args, fleet)
    target = _target(args, fleet)
    path = "/2/active/sensor"
    if args.verb == "install":
        descriptor = fleet.model_manage().get(f"/1/sensor/{quoted(args.name)}", subject=f"sensor {args.name!r}")
        say(one_line(target.send("POST", path, descriptor, subject=f"sensor {args.name!r}").json()["id"]))
    elif args.verb == "uninstall":
        target.call("DELETE", f"{path}/{args.id}", subject=f"sensor {args.id}")
        done(args, f"sensor {args.id} is uninstalled from {target.name}")
    elif args.verb == "points":
        print_names(target.get(path + "/points", subject="sensor points"), args.json)
    else:
        sensors = [sensor for sensor in target.get(path, subject="sensors") if args.id in (None, sensor["id"])]
        if args.json:
            print_json(sensors)
        else:
            print_table(["Id", "Tap"], [[sensor["id"], sensor["tap"]] for sensor in sensors])
    return 0


def _target(args: argparse.Namespace, fleet: Fleet) -> Service:
    name = target_of(args)
    return fleet.instance(name) if name else fleet.engine()
