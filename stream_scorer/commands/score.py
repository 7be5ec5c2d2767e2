"""stream-scorer score"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream_scorer.commands.model_flags import add_model_flags, attachment_and_schemas, trust_of
from stream_scorer.errors import SettingsError
from stream_scorer.settings.arguments import LEVELS, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_flags(parser)
    for option, text in (
        ("input", "file of JSON lines to read an input slot from (default: stdin, for one input)"),
        ("output", "file to write an output slot to, as JSON lines (default: stdout)"),
    ):
        parser.add_argument(f"--{option}", action="append", default=[], metavar="SLOT=FILE", help=text)
    parser.add_argument(
        "--stream",
        action="append",
        default=[],
        metavar="SLOT=FILE",
        help="file with the ModelOp stream descriptor of a slot, as JSON",
    )
    parser.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="file to write one line to for each rejected record (default: stderr)",
    )
    parser.add_argument(
        "--batch",
        type=whole_number(1),
        metavar="N",
        help="most records scored together (default: 1024; 1000 for record sets)",
    )
    parser.add_argument(
        "--log-level", default="WARNING", type=str.upper, choices=LEVELS, help="lowest level to log (default: WARNING)"
    )


def run(args: argparse.Namespace) -> int:
    from stream_scorer.programs import score_streams as pipes
    from stream_scorer.programs.score import score
    from stream_scorer.system import logs

    logs.set_up(args.log_level)
    descriptors: dict[int, Any] = {}
    for option in ("input", "output", "stream"):
        for slot, path in _by_slot(option, getattr(args, option)):
            if slot in descriptors:
                raise SettingsError(f"--{option} {slot}={path}: slot {slot} has a stream already.")
            descriptors[slot] = pipes.descriptor(path) if option == "stream" else pipes.file_stream(str(path.resolve()))
    attachment, schemas = attachment_and_schemas(args)
    trust = trust_of(args)
    with contextlib.ExitStack() as stack:
        rejects = stack.enter_context(args.rejects.open("w")) if args.rejects else sys.stderr
        # What a model prints goes to stderr, not among the scores.
        out = stack.enter_context(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        return score(args.model, attachment, schemas, descriptors, sys.stdin.fileno(), out, rejects, args.batch, trust)


def _by_slot(option: str, given: list[str]) -> Iterator[tuple[int, Path]]:
    parity = {"input": 0, "output": 1}
    for text in given:
        number, _, path = text.partition("=")
        if (
            not (number.isascii() and number.isdigit())
            or len(number) > 9
            or not path
            or int(number) % 2 != parity.get(option, int(number) % 2)
        ):
            expected = {"input": "an even number", "output": "an odd number"}.get(option, "a number")
            raise SettingsError(f"--{option} {text}: expected SLOT=FILE, with SLOT {expected}.")
        yield int(number), Path(path)
