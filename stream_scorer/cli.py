"""The command line: finds the command, maps errors to exit codes. Imports nothing a command does not need."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from stream_scorer import __version__
from stream_scorer.errors import EXIT_INTERRUPTED, EXIT_SETTINGS, StreamScorerError

COMMANDS = {
    "demo": ("stream_scorer.commands.demo", "the main job on an embedded broker: prices in, forecasts out"),
    "run": ("stream_scorer.commands.run", "score a Kafka topic with a model, as a service"),
    "tail": ("stream_scorer.commands.tail", "watch forecasts and what then happened"),
    "score": ("stream_scorer.commands.score", "score JSON lines from stdin to stdout, no broker"),
    "replay": ("stream_scorer.commands.replay", "put a column of a CSV file onto a topic"),
    "dead-letters": (
        "stream_scorer.commands.dead_letters",
        "list, show and re-submit records that could not be scored",
    ),
    "engine": ("stream_scorer.commands.engine", "serve ModelOp's REST API, or ask an engine that runs"),
    "connect": ("stream_scorer.commands.connect", "say which fleet the commands below are for"),
    "fleet": ("stream_scorer.commands.fleet", "list the instances of the fleet"),
    "use": ("stream_scorer.commands.use", "choose one of several engines"),
    "config": ("stream_scorer.commands.config", "set or show the fleet's configuration"),
    "schema": ("stream_scorer.commands.schema", "schemas: keep and verify them"),
    "model": ("stream_scorer.commands.model", "models: keep, verify, load, feed and read them"),
    "attachment": ("stream_scorer.commands.attachment", "archives of models' files: upload, list, download, remove"),
    "stream": ("stream_scorer.commands.stream", "streams: keep, verify, attach, detach, sample them"),
    "snapshot": ("stream_scorer.commands.snapshot", "models' states: list, show, restore, remove"),
    "sensor": ("stream_scorer.commands.sensor", "sensors: keep, install, inspect them"),
    "policy": ("stream_scorer.commands.policy", "which libraries models may import: set, show"),
    "pneumo": ("stream_scorer.commands.pneumo", "watch what happens on the fleet"),
    "job": ("stream_scorer.commands.job", "load a model and attach its streams in one go; stop it"),
    "train": ("training.cli", "train the S&P 500 LSTM from prices and CPI"),
    "train-forecaster": ("training.forecaster_cli", "choose and train the forecaster that takes prices"),
    "backtest": ("stream_scorer.commands.backtest", "forecasts over a history of prices, judged: a report"),
    "export": ("stream_scorer.commands.export", "write a model as a bundle any ModelOp engine takes"),
    "verify": ("stream_scorer.commands.verify", "check a model or bundle: contract, schemas, hashes, equal bits"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 not verified or done in part, 2 settings, 3 model, 4 broker, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else EXIT_SETTINGS
    if argv[0] in ("-V", "--version"):
        print(f"stream-scorer {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        print(f"stream-scorer: no command {name!r}\n\n{usage()}", file=sys.stderr)
        return EXIT_SETTINGS
    module, text = COMMANDS[name]
    command = importlib.import_module(module)
    parser = argparse.ArgumentParser(prog=f"stream-scorer {name}", description=text[0].upper() + text[1:] + ".")
    command.add_arguments(parser)
    arguments = getattr(command, "prepare", list)(argv[1:])
    try:
        code: int = command.run(parser.parse_args(arguments))
        sys.stdout.flush()
    except StreamScorerError as error:
        print(f"stream-scorer {name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: so may we, without a traceback at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: stream-scorer COMMAND ...",
            "",
            "Runs ModelOp (FastScore) Python models on Kafka: the same file, exactly once.",
            "",
            *lines,
            "",
            "stream-scorer COMMAND --help tells the rest.",
        ]
    )
