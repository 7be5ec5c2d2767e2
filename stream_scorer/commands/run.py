"""stream-scorer run"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stream_scorer.run_settings import RunSettings
from stream_scorer.settings import add_flags, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the settings below")
    add_flags(parser, RunSettings)


def run(args: argparse.Namespace) -> int:
    settings = load(RunSettings, vars(args), args.config)
    # After the settings: their errors need neither Kafka's library nor the logs.
    from stream_scorer import logs
    from stream_scorer.supervisor import is_worker, supervise, worker_command

    logs.set_up(settings.log_level, settings.log_format)
    if settings.workers == 1 or is_worker():
        from stream_scorer import app
        from stream_scorer.commands.run_bar import bar

        return app.serve(args.model, settings, None if settings.log_format == "json" else bar())
    return supervise(
        [
            worker_command(sys.argv[2:] + (["--http", _port_of(settings.http, number)] if settings.http else []))
            for number in range(settings.workers)
        ]
    )


def _port_of(address: str, number: int) -> str:
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + number}" if host else str(int(port) + number)
