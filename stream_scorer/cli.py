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
from stream_scorer.safe_text import INDENT, lines, one_line, say
from stream_scorer.secret_text import hide
from stream_scorer.system.extras import install_hint
from stream_scorer.version import __version__

COMMANDS = {
    "demo": ("stream_scorer.commands.demo", "run the main job on an embedded broker: prices in, forecasts out"),
    "run": ("stream_scorer.commands.run", "score a Kafka topic with a model, as a service"),
    "tail": ("stream_scorer.commands.tail", "watch forecasts and the actual values, as they come"),
    "score": ("stream_scorer.commands.score", "score JSON lines from stdin to stdout, without a broker"),
    "replay": ("stream_scorer.commands.replay", "publish a column of a CSV file to a topic"),
    "dead-letters": (
        "stream_scorer.commands.dead_letters",
        "list, show and re-submit records that could not be scored",
    ),
    "engine": ("stream_scorer.commands.engine", "serve ModelOp's REST API, or ask a running engine"),
    "connect": ("stream_scorer.commands.connect", "choose the fleet that the commands below talk to"),
    "fleet": ("stream_scorer.commands.fleet", "list the instances of the fleet"),
    "use": ("stream_scorer.commands.use", "choose the instance to use, of several"),
    "config": ("stream_scorer.commands.config", "set or show the fleet's configuration"),
    "schema": ("stream_scorer.commands.schema", "store and verify schemas"),
    "model": ("stream_scorer.commands.model", "store, verify and load models, send them inputs, read their outputs"),
    "attachment": ("stream_scorer.commands.attachment", "upload, list, download and remove archives of models' files"),
    "stream": ("stream_scorer.commands.stream", "store, verify, attach, detach and sample streams"),
    "snapshot": ("stream_scorer.commands.snapshot", "list, show, restore and remove snapshots of models' states"),
    "sensor": ("stream_scorer.commands.sensor", "store, install and inspect sensors"),
    "policy": ("stream_scorer.commands.policy", "set or show which libraries models may import"),
    "pneumo": ("stream_scorer.commands.pneumo", "watch the messages of the fleet"),
    "job": ("stream_scorer.commands.job", "load a model and attach its streams in one command; stop it"),
    "train": ("stream_scorer_training.cli", "train the S&P 500 LSTM from prices and CPI"),
    "train-forecaster": (
        "stream_scorer_training.forecaster_cli",
        "choose and train the model sp500_forecast, which takes prices",
    ),
    "backtest": ("stream_scorer.commands.backtest", "forecast over a history of prices, and report how good it was"),
    "export": ("stream_scorer.commands.export", "write a model as a bundle that any ModelOp engine takes"),
    "verify": (
        "stream_scorer.commands.verify",
        "check a model or bundle: hashes; then execute it: contract, schemas, equal bits",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 not verified, done in part or nothing scored, 2 settings or files, 3 model,
    4 broker, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _open_closed_descriptors()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except SystemExit:
        with _ignoring_a_closed_reader():
            sys.stdout.flush()
        raise
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output has closed it: no error
        _discard_stdout()
        return 0
    except Exception as error:
        text, code = _explained(error, argv)
        if text is None:
            raise
        command = "".join(f" {word}" for word in argv[:1] if word in COMMANDS)
        say(f"stream-scorer{command}: {lines(hide(text), INDENT)}", file=sys.stderr)
        if isinstance(error, OSError):
            _discard_stdout()
    return code


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        say(usage())
        return 0 if argv else EXIT_SETTINGS
    if argv[0] in ("-V", "--version"):
        say(f"stream-scorer {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        say(f"stream-scorer: no command {name!r}.{did_you_mean(name, COMMANDS)}\n\n{usage()}", file=sys.stderr)
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


def _explained(error: Exception, argv: Sequence[str]) -> tuple[str | None, int]:
    """One line for an error that the user can fix, and the exit code; None for a bug, which gets a traceback."""
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
    if isinstance(error, UnicodeEncodeError) and any(not is_text(word) for word in argv):
        number = next(number for number, word in enumerate(argv, 1) if not is_text(word))
        return f"word {number} of the command is not text in UTF-8", EXIT_SETTINGS
    return None, EXIT_SETTINGS


def _warn_of_variables(name: str) -> None:
    """Only a warning: Kubernetes sets variables for every service, also for one named stream-scorer."""
    # Workers inherit the environment of their supervisor, which has printed the warning.
    if "STREAM_SCORER_WORKER" not in os.environ and any(name.startswith("STREAM_SCORER_") for name in os.environ):
        unknown = importlib.import_module("stream_scorer.commands.variables").unknown(os.environ)
        for text in unknown:
            say(f"stream-scorer {name}: warning: {one_line(text)}", file=sys.stderr)


def _open_closed_descriptors() -> None:
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
def _ignoring_a_closed_reader() -> Iterator[None]:
    try:
        yield
    except OSError:
        _discard_stdout()


def _discard_stdout() -> None:
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
            "stream-scorer COMMAND --help lists its options.",
        ]
    )
