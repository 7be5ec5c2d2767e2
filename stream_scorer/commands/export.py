"""stream-scorer export"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.commands.model_flags import add_schema_flag
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import writable_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default="tf_sp500_lstm",
        metavar="MODEL",
        help="module file or name of a shipped model (default: tf_sp500_lstm)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="directory written by `train --out` (default: the attachment beside the module)",
    )
    parser.add_argument(
        "--out", type=writable_folder, required=True, metavar="BUNDLE", help="bundle directory to write"
    )
    add_schema_flag(parser)
    parser.add_argument(
        "--input-topic",
        default="prices",
        metavar="T",
        help="topic in the Kafka stream descriptor of slot 0 (default: prices)",
    )
    parser.add_argument(
        "--output-topic",
        default="scores",
        metavar="T",
        help="topic in the Kafka stream descriptor of slot 1 (default: scores)",
    )


def run(args: argparse.Namespace) -> int:
    from stream_scorer.codec.schema_files import load_schema
    from stream_scorer.model.bundle import export
    from stream_scorer.model.locate import locate
    from stream_scorer.model.program import read_program
    from stream_scorer.settings.declared import to_map

    located = locate(args.model)
    files = {name: Path(path) for name, path in to_map(args.schema, "--schema").items()}
    names = sorted(set(read_program(located.module).annotations.schemas.values()))
    schemas = {name: load_schema(name, files, located.schema_dir).as_file() for name in names}
    manifest = export(located.module, args.weights, args.out, schemas, {0: args.input_topic, 1: args.output_topic})
    for name, entry in manifest["files"].items():
        say(f"{entry['sha256'][:16]}  {entry['bytes']:>9,}  {one_line(name)}")
    say(f"{one_line(args.out)}: {one_line(manifest['module'])} sha256 {manifest['sha256']}")
    return 0
