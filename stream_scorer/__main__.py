"""stream-scorer, and python -m stream_scorer"""

from __future__ import annotations

from typing import NoReturn

from stream_scorer.cli import main
from stream_scorer.ending import end


def run() -> NoReturn:
    end(main())


if __name__ == "__main__":
    run()
