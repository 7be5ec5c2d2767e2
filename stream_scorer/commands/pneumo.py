"""stream-scorer pneumo"""

from __future__ import annotations

import argparse
import json
from typing import Any

from stream_scorer.modelop.client.items import verb
from stream_scorer.modelop.client.options import add_server_flags, fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json
from stream_scorer.safe_text import INDENT, lines, one_line, say
from stream_scorer.settings.arguments import whole_number

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_server_flags(parser, machine=True)
    parser.add_argument("--src", metavar="INSTANCE", help="print only messages of this instance")
    parser.add_argument(
        "--type", metavar="TYPE", help="print only messages of this type: engine-state, model-console, model-error, ..."
    )
    parser.add_argument("--count", type=whole_number(1), metavar="N", help="exit after N messages")
    verbs = parser.add_subparsers(dest="verb", metavar="history")
    verb(verbs, "history", "print the last messages instead of new ones", machine=True)


def run(args: argparse.Namespace) -> int:
    fleet = fleet_of(args)
    filters = {name: value for name, value in (("src", args.src), ("type", args.type)) if value}
    if args.verb == "history":
        messages = fleet.connect.get("/2/pneumo", subject="pneumo history", query=filters or None)
        if args.json:
            print_json(messages)
        else:
            for message in messages:
                say(_line(message))
        return 0
    from stream_scorer.modelop.client.pneumo_listener import PneumoListener

    left = args.count
    with PneumoListener(fleet, **filters) as listener:
        while left is None or left > 0:
            message = listener.next()
            if message is None:
                continue
            say(json.dumps(message) if args.json else _line(message), flush=True)
            left = None if left is None else left - 1
    return 0


def _line(message: dict[str, Any]) -> str:
    """A message as text: time, source, type, other fields as `name=value`; console output indented below."""
    rest = {
        name: value for name, value in message.items() if name not in ("timestamp", "src", "type", "console", "text")
    }
    fields = " ".join(f"{name}={json.dumps(value)}" for name, value in rest.items())
    text = str(message.get("text") or message.get("console") or "").rstrip()
    indented = f"\n{INDENT}{lines(text, INDENT)}" if text else ""
    head = one_line(f"{message.get('timestamp')} {message.get('src')} {message.get('type')} {fields}".rstrip())
    return head + indented
