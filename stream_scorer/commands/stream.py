"""stream-scorer stream"""

from __future__ import annotations

import argparse
import base64
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.fleet_client import Fleet, quoted
from stream_scorer.modelop.client.items import add_item_verbs, done, run_item_verb, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json, print_table
from stream_scorer.modelop.streams import literals
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style
_STREAM = "a name in Model Manage, or a literal such as rest: inline:1,2,3 discard: kafka:HOST:PORT/TOPIC.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    metavar = "add|list|show|remove|verify|attach|detach|inspect|sample"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=metavar)
    add_item_verbs(verbs, "stream")
    for name, text in (
        ("verify", "check in the engine whether a stream fits a slot"),
        ("attach", "attach a stream to a slot of the engine"),
    ):
        parser_of_verb = verb(verbs, name, text, machine=name == "verify")
        parser_of_verb.add_argument("stream", metavar="STREAM", help=_STREAM)
        parser_of_verb.add_argument(
            "slot", metavar="SLOT", type=whole_number(0), help="number of the slot; even: an input, odd: an output"
        )
    verb(verbs, "detach", "detach the stream from a slot").add_argument("slot", metavar="SLOT", type=whole_number(0))
    inspect = verb(verbs, "inspect", "list the attached streams", machine=True)
    inspect.add_argument(
        "slot", metavar="SLOT", type=whole_number(0), nargs="?", help="number of the slot (default: all slots)"
    )
    sample = verb(verbs, "sample", "print a few records of a stream", machine=True)
    sample.add_argument("stream", metavar="STREAM", help=_STREAM)
    sample.add_argument(
        "--count", type=whole_number(1), default=10, metavar="N", help="number of records (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    if args.verb == "show" and literals.is_literal(args.name):
        print_json(literals.expand(args.name))
    elif args.verb in ("add", "list", "show", "remove"):
        return run_item_verb("stream", args, fleet)
    elif args.verb in ("verify", "attach"):
        attach(args, fleet, args.stream, args.slot, dry_run=args.verb == "verify")
    elif args.verb == "detach":
        fleet.engine().call("DELETE", f"/2/active/stream/{args.slot}", subject=f"slot {args.slot}")
        done(args, f"slot {args.slot} has no stream now")
    elif args.verb == "inspect":
        _inspect(args, fleet)
    else:
        _sample(args, fleet)
    return 0


def attach(args: argparse.Namespace, fleet: Fleet, stream: str, slot: int, *, dry_run: bool = False) -> None:
    """Attach a stream, named or literal, to a slot. `dry_run`: only check whether it fits, and print the answer."""
    name, descriptor = _named(fleet, stream)
    answer = fleet.engine().send(
        "PUT",
        f"/2/active/stream/{slot}",
        descriptor,
        subject=f"stream {stream!r} at slot {slot}",
        query={"dry-run": str(dry_run)},
        headers={"Content-Disposition": f'x-stream; name="{name}"'},
    )
    if not dry_run:
        done(args, f"stream {stream} is attached to slot {slot}")
        return
    if args.verbose or args.json:
        print_json(answer.json())
    if not args.json:
        say("the stream descriptor contains no errors")


def _named(fleet: Fleet, stream: str) -> tuple[str, Any]:
    if literals.is_literal(stream):
        return "literal", literals.expand(stream)
    return stream, fleet.model_manage().get(f"/1/stream/{quoted(stream)}", subject=f"stream {stream!r}")


def _inspect(args: argparse.Namespace, fleet: Fleet) -> None:
    streams = fleet.engine().get("/2/active/stream", subject="streams")
    if args.slot is not None:
        streams = [stream for stream in streams if stream["slot"] == args.slot]
        if not streams and not args.json:
            raise SettingsError(f"no stream is attached at slot {args.slot}.")
    if args.json:
        print_json(streams if args.slot is None else next(iter(streams), None))
        return
    rows = [
        [stream["slot"], stream["name"], _transport(stream["descriptor"]), "yes" if stream["eof"] else "no"]
        for stream in streams
    ]
    print_table(["Slot", "Name", "Transport", "EOF"], rows)


def _transport(descriptor: Any) -> Any:
    transport = descriptor.get("Transport") if isinstance(descriptor, dict) else None
    return transport.get("Type") if isinstance(transport, dict) else transport


def _sample(args: argparse.Namespace, fleet: Fleet) -> None:
    _, descriptor = _named(fleet, args.stream)
    subject = f"stream {args.stream!r}"
    answer = fleet.engine().send("POST", "/1/stream/sample", descriptor, subject=subject, query={"n": args.count})
    records = [base64.b64decode(record) for record in answer.json()]
    if args.json:
        print_json([record.decode(errors="replace") for record in records])
        return
    for number, record in enumerate(records, 1):
        try:
            text = record.decode()
        except UnicodeDecodeError:
            text = record.hex(" ")
        say(f"{number:4}: {one_line(text)}")
