"""stream-scorer job"""

from __future__ import annotations

import argparse

from stream_scorer.commands import stream as streams
from stream_scorer.modelop.client import models
from stream_scorer.modelop.client.fleet_client import Fleet
from stream_scorer.modelop.client.items import done, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json
from stream_scorer.safe_text import say

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="run|status|stop")
    start = verb(verbs, "run", "load a model, and attach a stream to slot 0 and one to slot 1")
    start.add_argument("model", metavar="MODEL")
    start.add_argument(
        "input", metavar="INPUT", help="stream of slot 0: a name in Model Manage, or a literal such as rest:"
    )
    start.add_argument("output", metavar="OUTPUT", help="stream of slot 1: a name or a literal")
    start.add_argument("--wait", action="store_true", help="wait until the run is over; exit 3 if the model fails")
    verb(verbs, "status", "print the state of the engine, its model and its streams, as JSON")
    verb(verbs, "stop", "unload the model and detach all streams")


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    engine = fleet.engine()
    if args.verb == "status":
        print_json(engine.get("/1/job/status", subject="job status"))
    elif args.verb == "stop":
        engine.call("POST", "/2/engine/reset", subject="job stop")
        done(args, f"{engine.name} is reset")
    elif args.wait:
        from stream_scorer.modelop.client.pneumo_listener import PneumoListener

        with PneumoListener(fleet, src=engine.name) as listener:
            _start(args, fleet)
            while True:
                message = listener.next() or {}
                if message.get("type") == "model-error":
                    say(str(message.get("console", "")).rstrip())
                    return 3
                if message.get("type") == "engine-state" and message.get("state") in ("finished", "error"):
                    return 0 if message["state"] == "finished" else 3
    else:
        _start(args, fleet)
    return 0


def _start(args: argparse.Namespace, fleet: Fleet) -> None:
    models.load(fleet.model_manage(), fleet.engine(), args.model, None, {}, dry_run=False)
    streams.attach(args, fleet, args.input, 0)
    streams.attach(args, fleet, args.output, 1)
    done(args, f"{args.model} runs")
