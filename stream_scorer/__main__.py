"""stream-scorer, and python -m stream_scorer"""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType
from typing import NoReturn

from stream_scorer.cli import main
from stream_scorer.safe_text import INDENT, lines, one_line, say
from stream_scorer.secret_text import hide


def run() -> NoReturn:
    sys.excepthook = _print_traceback
    threading.excepthook = _print_thread_traceback
    code = main()
    if "confluent_kafka" not in sys.modules:
        sys.exit(code)
    from stream_scorer.system.exit import exit_process

    exit_process(code)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own would print the text of an exception as it is, whoever wrote it."""
    text = hide("".join(traceback.format_exception(kind, error, trace)))
    say(lines(text, INDENT), file=sys.stderr)


def _print_thread_traceback(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread else "?"
        say(f"Exception in thread {one_line(name)}", file=sys.stderr)
        _print_traceback(args.exc_type, args.exc_value, args.exc_traceback)


if __name__ == "__main__":
    run()
