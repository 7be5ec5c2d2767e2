"""The model and its files, as arguments of the commands that score without Kafka."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_model_flags(parser: argparse.ArgumentParser, metavar: str = "MODEL") -> None:
    """Add the model, --attachment and --schema."""
    parser.add_argument("model", metavar=metavar, help="module file, bundle directory or name of a shipped model")
    parser.add_argument(
        "--attachment",
        type=Path,
        metavar="FILE",
        help="archive of the model's files (default: attachment.tar.gz beside the model)",
    )
    add_schema_flag(parser)


def add_schema_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--schema",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="Avro schema file for a schema name in the model; repeat the flag for more",
    )


def attachment_and_schemas(args: argparse.Namespace) -> tuple[Path | None, dict[str, Path]]:
    """Return --attachment, and the files of --schema as absolute paths by name. Raises SettingsError."""
    from stream_scorer.scoring.hosting import absolute_paths
    from stream_scorer.settings.declared import to_map

    return args.attachment, absolute_paths(to_map(args.schema, "--schema"))
