"""stream-scorer snapshot"""

from __future__ import annotations

import argparse

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.fleet_client import Fleet, quoted
from stream_scorer.modelop.client.items import done, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.rest_records import OCTETS
from stream_scorer.modelop.client.show import print_json, print_table
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|restore|remove")
    listing = verb(verbs, "list", "list the snapshots of a model's state, the latest first", machine=True)
    listing.add_argument("model", metavar="MODEL")
    listing.add_argument("--count", type=whole_number(1), metavar="N", help="list at most N")
    listing.add_argument("--since", metavar="TIME", help="list snapshots taken at this ISO 8601 time or later")
    listing.add_argument("--until", metavar="TIME", help="list snapshots taken at this ISO 8601 time or earlier")
    for name, text in (
        ("show", "print the metadata of a snapshot"),
        ("restore", "set the engine's state to a snapshot, before its model runs"),
        ("remove", "remove a snapshot"),
    ):
        parser_of_verb = verb(verbs, name, text, machine=name == "show")
        parser_of_verb.add_argument("model", metavar="MODEL")
        if name == "restore":
            parser_of_verb.add_argument(
                "id", metavar="ID", nargs="?", help="id, or its first characters (default: the latest)"
            )
        else:
            parser_of_verb.add_argument("id", metavar="ID", help="id, or its first characters")


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    manage = fleet.model_manage()
    path = f"/1/model/{quoted(args.model)}/snapshot"
    if args.verb == "list":
        query = {"count": args.count} if args.count else {}
        if args.since or args.until:
            query["date-range"] = f"{args.since or ''}--{args.until or ''}"
        snapshots = manage.get(path, subject=f"snapshots of {args.model!r}", query=query)
        if args.json:
            print_json(snapshots)
        else:
            fields = ("id", "created_on", "type", "size")
            print_table(["Id", "Taken", "Type", "Bytes"], [[row.get(field) for field in fields] for row in snapshots])
        return 0
    if args.verb == "restore":
        return _restore(args, fleet, path)
    path, subject = f"{path}/{quoted(args.id)}", f"snapshot {args.id!r}"
    if args.verb == "remove":
        manage.call("DELETE", path, subject=subject)
        done(args, f"{subject} removed")
        return 0
    metadata = manage.get(path + "/metadata", subject=subject)
    if args.json:
        print_json(metadata)
    else:
        for name, value in metadata.items():
            say(f"{one_line(name) + ':':<12} {one_line(value)}")
    return 0


def _restore(args: argparse.Namespace, fleet: Fleet, path: str) -> int:
    manage, id_ = fleet.model_manage(), args.id
    if id_ is None:
        latest = manage.get(path, subject=f"snapshots of {args.model!r}", query={"count": 1})
        if not latest:
            raise SettingsError(f"{args.model} has no snapshots.")
        id_ = latest[0]["id"]
    blob = manage.call("GET", f"{path}/{quoted(id_)}/contents", subject=f"snapshot {id_!r}").body
    fleet.engine().call("PUT", "/1/job/state", blob, subject="snapshot restore", headers=OCTETS)
    done(args, f"the state of snapshot {id_} is restored")
    return 0
