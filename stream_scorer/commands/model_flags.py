"""The model and its files, as arguments of the commands that score without Kafka."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream_scorer.model.trust import Trust


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
    add_trust_flags(parser)


def add_trust_flags(parser: argparse.ArgumentParser) -> None:
    """Add --unverified and --require-signature."""
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="use a bundle although its files are not what its manifest.json says: whoever changed them runs code here",
    )
    parser.add_argument(
        "--require-signature",
        type=Path,
        metavar="PUB",
        help="file of Ed25519 public keys in PEM: use only a bundle that one of them has signed (`export --sign`)",
    )


def trust_of(args: argparse.Namespace) -> Trust:
    """What the flags ask of the model's files. Raises SettingsError: they contradict each other."""
    from stream_scorer.model.trust import Trust

    trust = Trust(args.unverified, args.require_signature)
    trust.check_files([getattr(args, "attachment", None), *(getattr(args, "schema", None) or ())])
    return trust


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
    from stream_scorer.settings.pairs import to_map

    return args.attachment, absolute_paths(to_map(args.schema, "--schema", shown=True))
