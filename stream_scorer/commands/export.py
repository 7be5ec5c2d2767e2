"""stream-scorer export"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream_scorer.commands.model_flags import add_schema_flag, add_trust_flags, trust_of
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
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="file of an Ed25519 private key in PEM: sign the bundle, for --require-signature PUB of the other commands",
    )
    add_schema_flag(parser)
    add_trust_flags(parser)
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
    from stream_scorer.settings.pairs import to_map

    located = locate(args.model, trust=trust_of(args))
    files = {name: Path(path) for name, path in to_map(args.schema, "--schema", shown=True).items()}
    names = sorted(set(located.program.annotations.schemas.values()))
    schemas = {name: load_schema(name, files, located.schema_dir, located.contents).as_file() for name in names}
    topics = {0: args.input_topic, 1: args.output_topic}
    exported = export(located, args.weights, args.out, schemas, topics, args.sign)
    manifest = exported.manifest
    for name, entry in manifest["files"].items():
        say(f"{entry['sha256'][:16]}  {entry['bytes']:>9,}  {one_line(name)}")
    say(
        f"{one_line(args.out)}: {one_line(manifest['module'])} sha256 {manifest['sha256']}{', signed' if args.sign else ''}"
    )
    if exported.others:
        problem = f"{'; '.join(exported.others)} in the manifest of {args.out}: the bundle is refused until it is gone."
        say(f"stream-scorer export: {one_line(problem)}", file=sys.stderr)
    return 0
