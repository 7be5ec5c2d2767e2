"""The verbs add, list, show and remove for schemas, streams and sensors, which Model Manage stores by name."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.model.trust import Trust, read_part
from stream_scorer.modelop.client.fleet_client import Fleet, quoted
from stream_scorer.modelop.client.options import add_server_flags
from stream_scorer.modelop.client.show import print_json, print_names
from stream_scorer.safe_text import one_line, say


def verb(verbs: Any, name: str, text: str, *, machine: bool = False) -> argparse.ArgumentParser:
    """Return the parser of a verb, with the flags that say where the server is."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_server_flags(parser, machine=machine)
    return parser


def add_trust_flags(parser: argparse.ArgumentParser) -> None:
    """Add --unverified and --require-signature, for a verb that sends a file, which may be one of a bundle."""
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="send a file of a bundle although it is not what its manifest.json says",
    )
    parser.add_argument(
        "--require-signature",
        type=Path,
        metavar="PUB",
        help="file of Ed25519 public keys in PEM: send only a file of a bundle that one of them has signed",
    )


def trust_of(args: argparse.Namespace) -> Trust:
    """What these flags ask for. Raises SettingsError: they contradict each other."""
    return Trust(args.unverified, args.require_signature)


def add_item_verbs(verbs: Any, kind: str) -> None:
    """Add the parsers of the four verbs. kind: "schema", "stream" or "sensor"."""
    add = verb(verbs, "add", f"add or replace a {kind}")
    add.add_argument("name", metavar="NAME")
    add.add_argument("file", metavar="FILE", type=Path, nargs="?", help="file of JSON (default: stdin)")
    add_trust_flags(add)
    verb(verbs, "list", f"list the names of all {kind}s", machine=True)
    show = verb(verbs, "show", f"print a {kind}", machine=True)
    show.add_argument("name", metavar="NAME")
    verb(verbs, "remove", f"remove a {kind}").add_argument("name", metavar="NAME")


def run_item_verb(kind: str, args: argparse.Namespace, fleet: Fleet) -> int:
    """Run one of the four verbs and return the exit code. Blocks until Model Manage answers. Raises StreamScorerError."""
    path = f"/1/{kind}"
    manage = fleet.model_manage()
    if args.verb == "list":
        print_names(manage.get(path, subject=f"{kind} list"), args.json)
        return 0
    path += f"/{quoted(args.name)}"
    if args.verb == "show":
        print_json(manage.get(path, subject=f"{kind} {args.name!r}"))
    elif args.verb == "add":
        value = read_json(args.file, trust_of(args))
        answer = manage.send("PUT", path, value, subject=f"{kind} {args.name!r}")
        done(args, f"{kind} {args.name} {'added' if answer.status == 201 else 'replaced'}")
    elif args.verb == "remove":
        manage.call("DELETE", path, subject=f"{kind} {args.name!r}")
        done(args, f"{kind} {args.name} removed")
    return 0


def done(args: argparse.Namespace, text: str) -> None:
    """Print what was done, with -v only: silence is success, as with the vendor's client."""
    if args.verbose:
        say(one_line(text))


def read_bytes(file: Path | None, trust: Trust | None = None) -> bytes:
    """Return the bytes of a file, or of stdin. Raises SettingsError.

    trust: the file may be one of a bundle, and is then checked. Raises ModelError: it is refused.
    """
    if file is None:
        return sys.stdin.buffer.read()
    try:
        data = file.read_bytes()
        return data if trust is None else read_part(file, data, trust)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}).") from error


def read_json(file: Path | None, trust: Trust | None = None) -> Any:
    """Return the JSON of a file, or of stdin. Raises SettingsError."""
    try:
        return json.loads(read_bytes(file, trust))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file or 'stdin'}: not JSON ({error}).") from error
