"""Frames between an engine and its jets: a JSON head and a body of raw bytes, with the length of each before them."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

_LENGTHS = struct.Struct("<IQ")
_CHUNK, _MAX_CHUNK = 1 << 16, 1 << 20
MAX_HEAD, MAX_BODY = 64 << 20, 4 << 30
"""Bytes. The peer may be a model that writes to a descriptor it does not know: then the lengths are any numbers."""


class Frame(NamedTuple):
    """A message: `head` is JSON, `body` is raw bytes."""

    head: dict[str, Any]
    body: bytes


class Channel:
    """A stream socket that carries frames. One thread receives; any thread may send.

    Args:
        exit_descriptor: readable once the peer's process has exited, whose children may hold the socket open; or None.
    """

    def __init__(self, connection: socket.socket, exit_descriptor: int | None = None) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._exit_descriptor = exit_descriptor
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        if exit_descriptor is not None:
            self._poll.register(exit_descriptor, select.POLLIN)
        self._buffer = bytearray()

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Blocks while the peer does not read. Raises OSError when it is gone."""
        text = json.dumps(head).encode()
        frame = b"".join((_LENGTHS.pack(len(text), len(body)), text, body))
        with self._sending:
            self._socket.sendall(frame)

    def receive(self, timeout_s: float | None = None) -> Frame:
        """Return the next frame. Blocks up to `timeout_s` for its first bytes; None: for ever.

        Raises TimeoutError, EOFError when the peer is gone, and ValueError: what came is not a frame.
        """
        self._fill(_LENGTHS.size, timeout_s)
        head, body = _LENGTHS.unpack_from(self._buffer)
        if head > MAX_HEAD or body > MAX_BODY:
            raise ValueError(f"a frame of {head:,} and {body:,} bytes")
        start, stop = _LENGTHS.size + head, _LENGTHS.size + head + body
        self._fill(stop, None)
        text, content = self._buffer[_LENGTHS.size : start], bytes(memoryview(self._buffer)[start:stop])
        del self._buffer[:stop]
        try:
            decoded = json.loads(text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not isinstance(decoded, dict):
            raise ValueError("its head is not an object")
        return Frame(decoded, content)

    def _fill(self, count: int, timeout_s: float | None) -> None:
        while len(self._buffer) < count:
            if timeout_s is not None or self._exit_descriptor is not None:
                ready = self._poll.poll(None if timeout_s is None else timeout_s * 1000)
                if not ready:
                    raise TimeoutError
                if [descriptor for descriptor, _ in ready] == [self._exit_descriptor]:
                    raise EOFError
            try:
                chunk = self._socket.recv(max(_CHUNK, min(_MAX_CHUNK, count - len(self._buffer))))
            except OSError as error:
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._buffer += chunk

    def close(self) -> None:
        self._socket.close()


def pack(records: Sequence[bytes]) -> bytes:
    """Return the count of the records, the length of each, then the records."""
    return struct.pack(f"<I{len(records)}Q", len(records), *map(len, records)) + b"".join(records)


def unpack(data: bytes) -> list[bytes]:
    """The inverse of `pack`."""
    (count,) = struct.unpack_from("<I", data)
    lengths = struct.unpack_from(f"<{count}Q", data, 4)
    records, at = [], 4 + 8 * count
    for length in lengths:
        records.append(data[at : at + length])
        at += length
    return records


def pack_outputs(outputs: Sequence[tuple[int, bytes]]) -> bytes:
    """Pack (slot, record) pairs: the records as `pack` does, then the slot number of each."""
    return pack([record for _, record in outputs]) + struct.pack(f"<{len(outputs)}I", *(slot for slot, _ in outputs))


def unpack_outputs(data: bytes) -> list[tuple[int, bytes]]:
    """The inverse of `pack_outputs`."""
    records = unpack(data)
    slots = struct.unpack(f"<{len(records)}I", data[len(data) - 4 * len(records) :])
    return list(zip(slots, records, strict=True))
