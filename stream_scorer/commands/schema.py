"""stream-scorer schema"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stream_scorer.modelop.client.fleet_client import quoted
from stream_scorer.modelop.client.items import add_item_verbs, done, read_bytes, run_item_verb, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.safe_text import lines, one_line, say

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|list|show|remove|verify")
    add_item_verbs(verbs, "schema")
    verify = verb(verbs, "verify", "check a schema in the engine, and values against it")
    verify.add_argument("name", metavar="NAME")
    verify.add_argument("data", metavar="FILE", nargs="?", type=Path, help="file of JSON values, one a line")


def run(args: argparse.Namespace) -> int:
    """Returns 1 if `verify` found a value that does not fit, else 0."""
    fleet = fleet_of(args)
    if args.verb != "verify":
        return run_item_verb("schema", args, fleet)
    schema = fleet.model_manage().get(f"/1/schema/{quoted(args.name)}", subject=f"schema {args.name!r}")
    values = read_bytes(args.data).decode(errors="replace").splitlines() if args.data else []
    engine = fleet.engine()
    id_ = engine.send("POST", "/2/active/schema/verify", schema, subject=f"schema {args.name!r}").json()["id"]
    done(args, "schema ok")
    bad = 0
    try:
        for line in filter(str.strip, values):
            problem = ""
            try:
                body = json.dumps({"data": json.loads(line)}).encode()
            except ValueError as error:
                problem = f"not JSON: {error}"
            else:
                headers = {"Content-Type": "application/json"}
                answer = engine.ask("POST", f"/2/active/schema/verify/{id_}", body, headers=headers)
                if answer.status // 100 != 2:
                    problem = answer.text
            bad += bool(problem)
            line = one_line(line)
            say(f"FAIL  {line}\n      {lines(problem, ' ' * 6)}" if problem else f"OK    {line}")
    finally:
        engine.ask("DELETE", f"/2/active/schema/verify/{id_}")
    sys.stdout.flush()
    return 1 if bad else 0
