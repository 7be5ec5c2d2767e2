"""stream-scorer score"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.settings.arguments import LEVELS, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--attachment", type=Path, metavar="FILE", help="archive of the model's files")
    parser.add_argument(
        "--schema", action="append", default=[], metavar="NAME=FILE", help="Avro schema for a name the model uses"
    )
    for way, text in (
        ("input", "file to read an input slot from, JSON lines"),
        ("output", "file for an output slot, JSON lines"),
    ):
        parser.add_argument(f"--{way}", action="append", default=[], metavar="SLOT=FILE", help=text)
    parser.add_argument(
        "--stream",
        action="append",
        default=[],
        metavar="SLOT=FILE",
        help="ModelOp stream descriptor of a slot, as JSON",
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="file for a line about each rejected record (default: stderr)"
    )
    parser.add_argument(
        "--batch",
        type=whole_number(1),
        metavar="N",
        help="most records scored together (default: 1024, in a record set 1000)",
    )
    parser.add_argument(
        "--log-level", default="WARNING", type=str.upper, choices=LEVELS, help="least level logged (default: WARNING)"
    )


def run(args: argparse.Namespace) -> int:
    from stream_scorer.programs import score_streams as pipes
    from stream_scorer.programs.score import score
    from stream_scorer.scoring import hosting
    from stream_scorer.settings.declared import to_map
    from stream_scorer.system import logs

    logs.set_up(args.log_level)
    descriptors: dict[int, Any] = {}
    for option in ("input", "output", "stream"):
        for slot, path in _by_slot(option, getattr(args, option)):
            if slot in descriptors:
                raise SettingsError(f"--{option} {slot}={path}: slot {slot} has a stream already.")
            descriptors[slot] = pipes.descriptor(path) if option == "stream" else pipes.file_stream(str(path.resolve()))
    attachment = args.attachment.resolve() if args.attachment else None
    schemas = hosting.paths(to_map(args.schema, "--schema"))
    with contextlib.ExitStack() as stack:
        rejects = stack.enter_context(args.rejects.open("w")) if args.rejects else sys.stderr
        # A model's own prints belong to the console, not among the scores.
        out = stack.enter_context(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        return score(args.model, attachment, schemas, descriptors, sys.stdin.fileno(), out, rejects, args.batch)


def _by_slot(option: str, given: list[str]) -> Iterator[tuple[int, Path]]:
    odd = {"input": 0, "output": 1}
    for one in given:
        number, _, path = one.partition("=")
        if not number.isdigit() or not path or int(number) % 2 != odd.get(option, int(number) % 2):
            which = {"input": "an even number", "output": "an odd number"}.get(option, "a number")
            raise SettingsError(f"--{option} {one}: it must be SLOT=FILE, SLOT {which}.")
        yield int(number), Path(path)
