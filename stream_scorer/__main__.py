"""stream-scorer, and python -m stream_scorer"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import NoReturn

from stream_scorer.cli import main
from stream_scorer.safe_text import INDENT, lines, say


def run() -> NoReturn:
    sys.excepthook = _print_traceback
    code = main()
    if "confluent_kafka" not in sys.modules:
        sys.exit(code)
    from stream_scorer.system.exit import exit_process

    exit_process(code)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own would print the text of an exception as it is, whoever wrote it."""
    say(lines("".join(traceback.format_exception(kind, error, trace)), INDENT), file=sys.stderr)


if __name__ == "__main__":
    run()
