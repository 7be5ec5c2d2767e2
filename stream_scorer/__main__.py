"""stream-scorer, and python -m stream_scorer"""

from __future__ import annotations

import sys
from typing import NoReturn

from stream_scorer.cli import main


def run() -> NoReturn:
    code = main()
    if "confluent_kafka" not in sys.modules:
        sys.exit(code)
    from stream_scorer.system.exit import exit_process

    exit_process(code)


if __name__ == "__main__":
    run()
