"""stream-scorer run"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.settings import RunSettings, add_flags, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the settings below")
    add_flags(parser, RunSettings)


def run(args: argparse.Namespace) -> int:
    settings = load(RunSettings, vars(args), args.config)
    # After the settings: their errors need neither Kafka's library nor the logs.
    from stream_scorer import app, logs

    logs.set_up(settings.log_level, settings.log_format)
    return app.serve(args.model, settings)
