"""Records to and from the REST streams of an engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from stream_scorer.modelop.client.fleet_client import Service
from stream_scorer.modelop.client.http import Refused
from stream_scorer.modelop.client.show import write_bytes
from stream_scorer.safe_text import say

OCTETS = {"Content-Type": "application/octet-stream"}


def send(engine: Service, slot: int, record: bytes) -> None:
    """Send a record to a REST stream. Raises Refused: there is no REST stream at the slot."""
    engine.call("POST", f"/1/job/input/{slot}", record, subject=f"input to slot {slot}", headers=OCTETS)


def send_lines(engine: Service, slot: int, lines: TextIO) -> int:
    """Send each line as a record and return their number. An empty line is the end on a terminal, and skipped in a file."""
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
    """Return an output, None if there is none yet. Raises EOFError at the end of the stream, Refused."""
    answer = engine.ask("GET", f"/1/job/output/{slot}")
    if answer.status == 204:
        raise EOFError
    if answer.status == 202:
        return None
    if answer.status != 200:
        raise Refused(answer.status, f"output of slot {slot}: {answer.text.strip() or answer.status}")
    return answer.body


def waiting(engine: Service, slot: int) -> Iterator[bytes]:
    """Yield outputs to the end of the stream. The server waits for them."""
    while True:
        try:
            record = receive(engine, slot)
        except EOFError:
            return
        if record is not None:
            yield record


def read_outputs(engine: Service, slot: int, *, go_on: bool, wait: bool) -> None:
    """Print one output, or all; say on stderr that the stream is at its end."""
    if not wait:
        try:
            record = receive(engine, slot)
        except EOFError:
            say("(end of stream)", file=sys.stderr)
            return
        if record is not None:
            write_bytes(record + b"\n")
        return
    for record in waiting(engine, slot):
        write_bytes(record + b"\n")
        if not go_on:
            return
    say("(end of stream)", file=sys.stderr)
