"""The command line: finds the command, maps errors to exit codes. Imports nothing a command does not need."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator, Sequence

from stream_scorer.errors import EXIT_INTERRUPTED, EXIT_SETTINGS, StreamScorerError
from stream_scorer.parsing.spelling import did_you_mean, is_text
from stream_scorer.system.extras import install_hint
from stream_scorer.version import __version__

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
    "train": ("stream_scorer_training.cli", "train the S&P 500 LSTM from prices and CPI"),
    "train-forecaster": ("stream_scorer_training.forecaster_cli", "choose and train the forecaster that takes prices"),
    "backtest": ("stream_scorer.commands.backtest", "forecasts over a history of prices, judged: a report"),
    "export": ("stream_scorer.commands.export", "write a model as a bundle any ModelOp engine takes"),
    "verify": ("stream_scorer.commands.verify", "check a model or bundle: contract, schemas, hashes, equal bits"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 not verified, done in part or nothing scored, 2 settings or files, 3 model,
    4 broker, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _open_what_is_closed()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except SystemExit:
        with _reader_gone():
            sys.stdout.flush()
        raise
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: so may we
        _leave_stdout()
        return 0
    except Exception as error:
        text, code = _told(error, argv)
        if text is None:
            raise
        print(f"stream-scorer{''.join(f' {word}' for word in argv[:1] if word in COMMANDS)}: {text}", file=sys.stderr)
        if isinstance(error, OSError):
            _leave_stdout()
    return code


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else EXIT_SETTINGS
    if argv[0] in ("-V", "--version"):
        print(f"stream-scorer {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        print(f"stream-scorer: no command {name!r}.{did_you_mean(name, COMMANDS)}\n\n{usage()}", file=sys.stderr)
        return EXIT_SETTINGS
    from stream_scorer.settings.arguments import Parser

    module, text = COMMANDS[name]
    _warn_of_variables(name)
    command = importlib.import_module(module)
    parser = Parser(prog=f"stream-scorer {name}", description=text[0].upper() + text[1:] + ".")
    command.add_arguments(parser)
    arguments = getattr(command, "prepare", list)(argv[1:])
    code: int = command.run(parser.parse_args(arguments))
    return code


def _told(error: Exception, argv: Sequence[str]) -> tuple[str | None, int]:
    """One line for what a person can mend, and the exit code; None for what is an error of ours."""
    if isinstance(error, StreamScorerError):
        return str(error), error.exit_code
    if isinstance(error, ImportError) and (hint := install_hint(error)):
        return f"this needs {error.name}: {hint}", EXIT_SETTINGS
    if isinstance(error, OSError) and error.strerror:
        without_name = {
            errno.ENOENT: "the directory this was started in is gone",
            errno.EBADF: "stdin or stdout is closed",
        }
        where = (
            f"{error.filename}: {error.strerror}"
            if error.filename
            else without_name.get(error.errno or 0, error.strerror)
        )
        return where, EXIT_SETTINGS
    if isinstance(error, UnicodeEncodeError) and any(not is_text(one) for one in argv):
        return f"{next(one for one in argv if not is_text(one))!r} is not text in UTF-8", EXIT_SETTINGS
    return None, EXIT_SETTINGS


def _warn_of_variables(name: str) -> None:
    """A warning only: a cluster of Kubernetes sets variables for every service, one named stream-scorer among them."""
    # Workers have the environment of their supervisor, which has said it.
    if "STREAM_SCORER_WORKER" not in os.environ and any(one.startswith("STREAM_SCORER_") for one in os.environ):
        unknown = importlib.import_module("stream_scorer.commands.variables").unknown(os.environ)
        for text in unknown:
            print(f"stream-scorer {name}: warning: {text}", file=sys.stderr)


def _open_what_is_closed() -> None:
    """Whoever starts us may have closed stdin, stdout or stderr: the next file or socket opened would be in its place.

    Each is opened the wrong way round, so that its use fails, and does not go unseen.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


@contextlib.contextmanager
def _reader_gone() -> Iterator[None]:
    try:
        yield
    except OSError:
        _leave_stdout()


def _leave_stdout() -> None:
    """What is still to be written goes nowhere: no traceback at exit."""
    with contextlib.suppress(OSError, ValueError):  # tests put something else in its place
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
