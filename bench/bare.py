"""The least that exactly once takes: a loop that copies records in transactions, with our settings and no service.

    python -m bench.bare SERVERS TOPIC OUT

It runs until it is stopped; one partition. `bench latency` compares the service with it.
"""

from __future__ import annotations

import sys
import time

from bench.peers.programs.copy_loop import CopyLoop

PAUSE_S = 0.001
"""After a commit. Its markers are still being written, and librdkafka would have to ask again for a transaction that
begins at once, 20 ms later: three times the latency at 1,000 records a second."""


def main(servers: str, topic: str, out: str) -> None:
    loop = CopyLoop(servers, topic, out)
    while True:
        if loop.turn():
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
