"""stream-scorer verify"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream_scorer.commands.model_flags import add_model_flags, attachment_and_schemas, trust_of
from stream_scorer.errors import ModelError
from stream_scorer.safe_text import INDENT, lines, one_line, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_flags(parser, "MODEL_OR_BUNDLE")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE",
        help="file of inputs to score, one JSON value a line (default: random numbers, if the model takes numbers)",
    )


def run(args: argparse.Namespace) -> int:
    from stream_scorer.programs.verify import verify
    from stream_scorer.system import logs

    logs.set_up("WARNING")
    attachment, schemas = attachment_and_schemas(args)
    trust = trust_of(args)
    try:
        for line in verify(args.model, attachment, schemas, args.inputs, trust):
            say(f"ok  {one_line(line)}", flush=True)
    except ModelError as error:
        say(f"NOT ok  {lines(error, INDENT)}", file=sys.stderr)
        return 1
    say("verified")
    return 0
