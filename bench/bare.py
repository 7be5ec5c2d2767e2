"""The minimum cost of exactly once: a loop that copies records in transactions, with our settings and no service.

    python -m bench.bare SERVERS TOPIC OUT

It copies partition 0 until it is stopped. `bench latency` compares the service with it.
"""

from __future__ import annotations

import sys
import time

from bench.peers.programs.copy_loop import CopyLoop

PAUSE_S = 0.001
"""Pause after a commit. Its markers are still being written: a transaction that begins at once is refused, and librdkafka
asks again 20 ms later. That triples the latency at 1,000 records a second."""


def main(servers: str, topic: str, out: str) -> None:
    loop = CopyLoop(servers, topic, out)
    while True:
        if loop.turn():
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
