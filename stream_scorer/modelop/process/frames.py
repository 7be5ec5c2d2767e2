"""Frames between an engine and its jets: a small JSON head and raw bytes, each with its length before it."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

_LENGTHS = struct.Struct("<IQ")
_CHUNK = 1 << 16


class Frame(NamedTuple):
    head: dict[str, Any]
    body: bytes


class Channel:
    """One end of a stream socket. One thread receives; any may send.

    Args:
        other: a descriptor that is readable once the other end's process is gone (whose own children may hold
            the socket open), or None.
    """

    def __init__(self, end: socket.socket, other: int | None = None) -> None:
        self._socket = end
        self._sending = threading.Lock()
        self._other = other
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)
        if other is not None:
            self._poll.register(other, select.POLLIN)
        self._buffer = bytearray()

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Blocks while the other end does not read. Raises OSError when it is gone."""
        text = json.dumps(head).encode()
        frame = b"".join((_LENGTHS.pack(len(text), len(body)), text, body))
        with self._sending:
            self._socket.sendall(frame)

    def receive(self, timeout_s: float | None = None) -> Frame:
        """The next frame. Raises TimeoutError before its first byte, EOFError when the other end is gone."""
        self._fill(_LENGTHS.size, timeout_s)
        head, body = _LENGTHS.unpack_from(self._buffer)
        start, end = _LENGTHS.size + head, _LENGTHS.size + head + body
        self._fill(end, None)
        text, content = self._buffer[_LENGTHS.size : start], bytes(memoryview(self._buffer)[start:end])
        del self._buffer[:end]
        return Frame(json.loads(text), content)

    def _fill(self, count: int, timeout_s: float | None) -> None:
        while len(self._buffer) < count:
            if timeout_s is not None or self._other is not None:
                ready = self._poll.poll(None if timeout_s is None else timeout_s * 1000)
                if not ready:
                    raise TimeoutError
                if [descriptor for descriptor, _ in ready] == [self._other]:
                    raise EOFError
            try:
                chunk = self._socket.recv(max(_CHUNK, count - len(self._buffer)))
            except OSError as error:
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._buffer += chunk

    def close(self) -> None:
        self._socket.close()


def pack(records: Sequence[bytes]) -> bytes:
    """Their count, the length of each, then all of them."""
    return struct.pack(f"<I{len(records)}Q", len(records), *map(len, records)) + b"".join(records)


def unpack(data: bytes) -> list[bytes]:
    """What `pack` was given."""
    (count,) = struct.unpack_from("<I", data)
    lengths = struct.unpack_from(f"<{count}Q", data, 4)
    records, at = [], 4 + 8 * count
    for length in lengths:
        records.append(data[at : at + length])
        at += length
    return records


def pack_outputs(outputs: Sequence[tuple[int, bytes]]) -> bytes:
    """(slot, record) pairs: the records as `pack` has them, then a slot number for each."""
    return pack([record for _, record in outputs]) + struct.pack(f"<{len(outputs)}I", *(slot for slot, _ in outputs))


def unpack_outputs(data: bytes) -> list[tuple[int, bytes]]:
    records = unpack(data)
    slots = struct.unpack(f"<{len(records)}I", data[len(data) - 4 * len(records) :])
    return list(zip(slots, records, strict=True))
