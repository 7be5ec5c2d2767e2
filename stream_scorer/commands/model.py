"""stream-scorer model"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import models
from stream_scorer.modelop.client.fleet_client import Fleet, Service, quoted
from stream_scorer.modelop.client.items import add_trust_flags, done, read_bytes, trust_of, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.rest_records import read_outputs, send_lines
from stream_scorer.modelop.client.show import print_json, print_table, write_bytes
from stream_scorer.modelop.client.slot_table import print_slots
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style
_VERBS = "add|list|show|remove|verify|load|unload|inspect|scale|input|output|interact"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=_VERBS)
    add = verb(verbs, "add", "add or replace a model in Model Manage")
    add.add_argument("name", metavar="NAME")
    add.add_argument("file", metavar="FILE", nargs="?", type=Path, help="source of the model (default: stdin)")
    add.add_argument(
        "--type",
        metavar="TYPE",
        help=f"type of the model: {', '.join(models.TYPES)}; also written -type:python3 (default: by the extension of FILE)",
    )
    add_trust_flags(add)
    verb(verbs, "list", "list the models in Model Manage", machine=True)
    verb(verbs, "show", "print a model's source").add_argument("name", metavar="NAME")
    verb(verbs, "remove", "remove a model, its attachments and snapshots").add_argument("name", metavar="NAME")
    for name, text in (
        ("verify", "check a model in the engine, without loading it"),
        ("load", "load a model into the engine"),
    ):
        parser_of_verb = verb(verbs, name, text, machine=name == "verify")
        parser_of_verb.add_argument("name", metavar="NAME")
        parser_of_verb.add_argument(
            "attachment", metavar="FILE", nargs="?", type=Path, help="archive to use instead of the model's attachments"
        )
        add_trust_flags(parser_of_verb)
        parser_of_verb.add_argument(
            "--schema",
            action="append",
            default=[],
            metavar="NAME:FILE",
            help="schema file to use for a schema name; repeat the flag for more",
        )
    verb(verbs, "unload", "unload the model from the engine")
    verb(verbs, "inspect", "print what is loaded in the engine", machine=True)
    scale = verb(verbs, "scale", "set the number of jets, processes that run the model")
    scale.add_argument("count", metavar="N", type=whole_number(0))
    _add_record_verbs(verbs)


def _add_record_verbs(verbs: Any) -> None:
    send = verb(verbs, "input", "send the lines of stdin to a REST stream, one record a line")
    send.add_argument(
        "slot",
        metavar="SLOT",
        nargs="?",
        type=whole_number(0),
        default=0,
        help="number of an input slot, even (default: 0)",
    )
    output = verb(verbs, "output", "print one output of a REST stream; waits for it")
    output.add_argument(
        "slot",
        metavar="SLOT",
        nargs="?",
        type=whole_number(0),
        default=1,
        help="number of an output slot, odd (default: 1)",
    )
    output.add_argument(
        "-c", "--continue", dest="all", action="store_true", help="print outputs until the end of the stream"
    )
    output.add_argument("--nowait", action="store_true", help="do not wait: print nothing if there is no output yet")
    verb(verbs, "interact", "type inputs and see their outputs")


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    if args.verb in ("add", "list", "show", "remove"):
        return _stored(args, fleet)
    if args.verb in ("verify", "load"):
        return _load(args, fleet)
    engine = fleet.engine()
    if args.verb == "unload":
        engine.call("DELETE", "/2/active/model", subject="model unload")
        done(args, "model unloaded")
    elif args.verb == "inspect":
        _inspect(args, engine)
    elif args.verb == "scale":
        engine.send("POST", "/2/active/model/scale", args.count, subject="model scale")
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
        stored = manage.get("/1/model", subject="model list", query={"return": "type"})
        if args.json:
            print_json(stored)
        else:
            print_table(["Name", "Type"], [[model["name"], model["type"]] for model in stored])
        return 0
    path, subject = f"/1/model/{quoted(args.name)}", f"model {args.name!r}"
    if args.verb == "add":
        source = read_bytes(args.file, trust_of(args))
        headers = {"Content-Type": models.model_type(args.type, args.file, source)}
        answer = manage.call("PUT", path, source, subject=subject, headers=headers)
        done(args, f"{subject} {'added' if answer.status == 201 else 'replaced'}")
    elif args.verb == "show":
        write_bytes(manage.call("GET", path, subject=subject).body)
    else:
        manage.call("DELETE", path, subject=subject)
        done(args, f"{subject} removed")
    return 0


def _load(args: argparse.Namespace, fleet: Fleet) -> int:
    schemas = {}
    for given in args.schema:
        name, colon, file = given.partition(":")
        if not colon:
            raise SettingsError(f"--schema {given!r} is not of the form NAME:FILE.")
        # As in the vendor's client, the schema itself may stand in place of a file.
        schemas[name] = read_bytes(Path(file), trust_of(args)).decode() if Path(file).is_file() else file
    verify = args.verb == "verify"
    body = models.load(
        fleet.model_manage(), fleet.engine(), args.name, args.attachment, schemas, dry_run=verify, trust=trust_of(args)
    )
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
                say(f"libraries {text}: {one_line(', '.join(info[field]))}")
        say(f"snapshots: {one_line(info.get('snapshots'))}")
    say("the model contains no errors")
    return 0


def _inspect(args: argparse.Namespace, engine: Service) -> None:
    answer = engine.ask("GET", "/2/active/model")
    model = answer.json() if answer.status == 200 else None
    if args.json:
        print_json(model)
    elif model is None:
        say("no model is loaded")
    else:
        lines = model.get("source", "").count("\n")
        print_table(
            ["Name", "Type", "Lines", "Snapshots"], [[model["name"], model["mtype"], lines, model["snapshots"]]]
        )
        say()
        print_slots(model["slots"])
        say()
        jets = model.get("jets") or []
        if jets:
            print_table(["Jet", "Pid", "Sandbox"], [[at, jet["pid"], jet["sandbox"]] for at, jet in enumerate(jets, 1)])
        else:
            say("no jets run")


def _slot(slot: int, parity: int) -> int:
    if slot % 2 != parity:
        raise SettingsError(f"slot {slot} is not an {'output' if parity else 'input'}: inputs are even, outputs odd.")
    return slot
