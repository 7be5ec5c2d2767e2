"""stream-scorer verify"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream_scorer.errors import ModelError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL_OR_BUNDLE", help="module file, bundle directory or name of a shipped model"
    )
    parser.add_argument("--attachment", type=Path, metavar="FILE", help="archive of the model's files")
    parser.add_argument(
        "--schema", action="append", default=[], metavar="NAME=FILE", help="Avro schema for a name the model uses"
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE",
        help="inputs to score, a JSON value a line (default: made up, if numbers)",
    )


def run(args: argparse.Namespace) -> int:
    from stream_scorer.programs.verify import verify
    from stream_scorer.scoring import hosting
    from stream_scorer.settings.declared import to_map
    from stream_scorer.system import logs

    logs.set_up("WARNING")
    schemas = hosting.paths(to_map(args.schema, "--schema"))
    attachment = args.attachment.resolve() if args.attachment else None
    try:
        for line in verify(args.model, attachment, schemas, args.inputs):
            print(f"ok  {line}", flush=True)
    except ModelError as error:
        print(f"NOT ok  {error}", file=sys.stderr)
        return 1
    print("verified")
    return 0
