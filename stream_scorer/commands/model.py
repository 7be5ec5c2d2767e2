"""stream-scorer model"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import models
from stream_scorer.modelop.client.fleet_client import Fleet, Service, quoted
from stream_scorer.modelop.client.items import done, read_bytes, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.rest_records import read_outputs, send_lines
from stream_scorer.modelop.client.show import print_json, print_table
from stream_scorer.modelop.client.slot_table import print_slots
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style
_VERBS = "add|list|show|remove|verify|load|unload|inspect|scale|input|output|interact"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=_VERBS)
    one = verb(verbs, "add", "add or replace a model in Model Manage")
    one.add_argument("name", metavar="NAME")
    one.add_argument("file", metavar="FILE", nargs="?", type=Path, help="its source (default: stdin)")
    one.add_argument(
        "--type",
        metavar="TYPE",
        help=f"written -type:python3 too; one of {', '.join(models.TYPES)} (default: by extension)",
    )
    verb(verbs, "list", "models in Model Manage", machine=True)
    verb(verbs, "show", "print a model's source").add_argument("name", metavar="NAME")
    verb(verbs, "remove", "remove a model, its attachments and snapshots").add_argument("name", metavar="NAME")
    for name, text in (
        ("verify", "let the engine check a model, without loading it"),
        ("load", "load a model into the engine"),
    ):
        one = verb(verbs, name, text, machine=name == "verify")
        one.add_argument("name", metavar="NAME")
        one.add_argument(
            "attachment", metavar="FILE", nargs="?", type=Path, help="an archive in place of the attachments"
        )
        one.add_argument(
            "--schema", action="append", default=[], metavar="NAME:FILE", help="a schema to send along; may be repeated"
        )
    verb(verbs, "unload", "unload the model from the engine")
    verb(verbs, "inspect", "what is loaded in the engine", machine=True)
    verb(verbs, "scale", "set how many jets run the model").add_argument("count", metavar="N", type=whole_number(0))
    one = verb(verbs, "input", "post lines of stdin to a REST stream, one record each")
    one.add_argument(
        "slot", metavar="SLOT", nargs="?", type=whole_number(0), default=0, help="an even number (default: 0)"
    )
    one = verb(verbs, "output", "print an output of a REST stream, waiting for it")
    one.add_argument(
        "slot", metavar="SLOT", nargs="?", type=whole_number(0), default=1, help="an odd number (default: 1)"
    )
    one.add_argument("-c", "--continue", dest="all", action="store_true", help="go on until the end of the stream")
    one.add_argument("--nowait", action="store_true", help="print nothing if there is nothing yet")
    verb(verbs, "interact", "type inputs and see outputs")


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    if args.verb in ("add", "list", "show", "remove"):
        return _stored(args, fleet)
    if args.verb in ("verify", "load"):
        return _load(args, fleet)
    engine = fleet.engine()
    if args.verb == "unload":
        engine.call("DELETE", "/2/active/model", what="model unload")
        done(args, "model unloaded")
    elif args.verb == "inspect":
        _inspect(args, engine)
    elif args.verb == "scale":
        engine.send("POST", "/2/active/model/scale", args.count, what="model scale")
        done(args, f"{args.count} jets")
    elif args.verb == "input":
        send_lines(engine, _slot(args.slot, 0), sys.stdin)
    elif args.verb == "output":
        read_outputs(engine, _slot(args.slot, 1), go_on=args.all, wait=not args.nowait)
    else:
        from stream_scorer.modelop.client.interact import interact  # needs websockets

        interact(engine, fleet)
    return 0


def _stored(args: argparse.Namespace, fleet: Fleet) -> int:
    manage = fleet.model_manage()
    if args.verb == "list":
        found = manage.get("/1/model", what="model list", query={"return": "type"})
        if args.json:
            print_json(found)
        else:
            print_table(["Name", "Type"], [[one["name"], one["type"]] for one in found])
        return 0
    path, what = f"/1/model/{quoted(args.name)}", f"model {args.name!r}"
    if args.verb == "add":
        source = read_bytes(args.file)
        headers = {"Content-Type": models.model_type(args.type, args.file, source)}
        answer = manage.call("PUT", path, source, what=what, headers=headers)
        done(args, f"{what} {'added' if answer.status == 201 else 'replaced'}")
    elif args.verb == "show":
        sys.stdout.buffer.write(manage.call("GET", path, what=what).body)
    else:
        manage.call("DELETE", path, what=what)
        done(args, f"{what} removed")
    return 0


def _load(args: argparse.Namespace, fleet: Fleet) -> int:
    schemas = {}
    for given in args.schema:
        name, colon, file = given.partition(":")
        if not colon:
            raise SettingsError(f"--schema {given!r} is not of the form NAME:FILE.")
        # The vendor's client takes the schema itself in place of a file, too.
        schemas[name] = Path(file).read_text() if Path(file).is_file() else file
    verify = args.verb == "verify"
    body = models.load(fleet.model_manage(), fleet.engine(), args.name, args.attachment, schemas, dry_run=verify)
    if not verify:
        done(args, f"model {args.name} is loaded")
        return 0
    info = models.json_of(body)
    if args.json:
        print_json(info)
        return 0
    if args.verbose:
        print_slots(info.get("slots") or [])
        for field, text in (
            ("install_libs", "to be installed"),
            ("warn_libs", "to be careful with"),
            ("attach_libs", "to be found in attachments"),
        ):
            if info.get(field):
                print(f"libraries {text}: {', '.join(info[field])}")
        print(f"snapshots: {info.get('snapshots')}")
    print("the model contains no errors")
    return 0


def _inspect(args: argparse.Namespace, engine: Service) -> None:
    answer = engine.ask("GET", "/2/active/model")
    found = answer.json() if answer.status == 200 else None
    if args.json:
        print_json(found)
    elif found is None:
        print("no model is loaded")
    else:
        lines = found.get("source", "").count("\n")
        print_table(
            ["Name", "Type", "Lines", "Snapshots"], [[found["name"], found["mtype"], lines, found["snapshots"]]]
        )
        print()
        print_slots(found["slots"])
        print()
        jets = found.get("jets") or []
        if jets:
            print_table(["Jet", "Pid", "Sandbox"], [[at, jet["pid"], jet["sandbox"]] for at, jet in enumerate(jets, 1)])
        else:
            print("no jets run")


def _slot(slot: int, parity: int) -> int:
    if slot % 2 != parity:
        raise SettingsError(f"slot {slot} is no {'output' if parity else 'input'}: inputs are even, outputs odd.")
    return slot
