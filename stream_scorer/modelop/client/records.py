"""Records to and from the REST streams of an engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from stream_scorer.modelop.client.fleet import Service
from stream_scorer.modelop.client.http import Refused

OCTETS = {"Content-Type": "application/octet-stream"}


def send(engine: Service, slot: int, record: bytes) -> None:
    """Raises Refused: no REST stream there."""
    engine.call("POST", f"/1/job/input/{slot}", record, what=f"input to slot {slot}", headers=OCTETS)


def send_lines(engine: Service, slot: int, lines: TextIO) -> int:
    """One record a line, how many; on a terminal an empty line ends it, in a file one is passed over."""
    count = 0
    for line in lines:
        record = line.rstrip("\r\n")
        if not record:
            if lines.isatty():
                break
            continue
        send(engine, slot, record.encode())
        count += 1
    return count


def receive(engine: Service, slot: int) -> bytes | None:
    """An output; None if there is none yet. Raises EOFError at the end of the stream, Refused."""
    answer = engine.ask("GET", f"/1/job/output/{slot}")
    if answer.status == 204:
        raise EOFError
    if answer.status == 202:
        return None
    if answer.status != 200:
        raise Refused(answer.status, f"output of slot {slot}: {answer.text.strip() or answer.status}")
    return answer.body


def waiting(engine: Service, slot: int) -> Iterator[bytes]:
    """Outputs as they come, to the end of the stream; the server is what waits."""
    while True:
        try:
            found = receive(engine, slot)
        except EOFError:
            return
        if found is not None:
            yield found


def read_outputs(engine: Service, slot: int, *, go_on: bool, wait: bool) -> None:
    """Print one output, or all; tell on stderr of the end of the stream."""
    out = sys.stdout.buffer
    if not wait:
        try:
            found = receive(engine, slot)
        except EOFError:
            print("(end of stream)", file=sys.stderr)
            return
        if found is not None:
            out.write(found + b"\n")
        return
    for record in waiting(engine, slot):
        out.write(record + b"\n")
        out.flush()
        if not go_on:
            return
    print("(end of stream)", file=sys.stderr)
