"""stream-scorer score"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--attachment", type=Path, metavar="FILE", help="archive of the model's files")
    parser.add_argument(
        "--schema", action="append", default=[], metavar="NAME=FILE", help="Avro schema for a name the model uses"
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="where rejected lines are told of (default: stderr)"
    )
    parser.add_argument(
        "--batch", type=int, default=1024, metavar="N", help="most records scored together (default: 1024)"
    )
    parser.add_argument("--log-level", default="WARNING", metavar="LEVEL", help="least level logged (default: WARNING)")


def run(args: argparse.Namespace) -> int:
    from stream_scorer import app, logs

    logs.set_up(args.log_level)
    with contextlib.ExitStack() as stack:
        rejects = stack.enter_context(args.rejects.open("w")) if args.rejects else sys.stderr
        # A model's own prints belong to the console, not among the scores.
        out = stack.enter_context(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        return app.score_lines(args.model, args.attachment, args.schema, sys.stdin.fileno(), out, rejects, args.batch)
