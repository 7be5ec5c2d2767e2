"""What a model prints, cut into lines: as text, each line bounded, however much comes without an end of line."""

from __future__ import annotations

import codecs

MAX_LINE = 64 << 10
"""Bytes of a line that are kept. A carriage return ends a line too: progress bars write nothing else."""


class ConsoleLines:
    """Takes bytes as they are read, gives text in whole lines. Bytes that are not UTF-8 become replacement characters.

    Takes the memory of one line, and time by the number of bytes.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = bytearray()  # of the line that has not ended
        self._length = 0  # bytes of that line that were kept, given out or not
        self._cut = 0  # bytes of that line that were not kept

    @property
    def holds(self) -> bool:
        """Whether a part of a line waits for its end."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> str:
        """Return the lines that end in this chunk, the held part of the first one included."""
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        if last < 0:
            self._hold(chunk)
            return ""
        first = min(at for at in (chunk.find(b"\n"), chunk.find(b"\r")) if at >= 0)
        self._hold(chunk[:first])
        # A chunk is no longer than MAX_LINE, so no line that begins and ends in it is too long.
        text = self._first_line() + self._decoder.decode(chunk[first : last + 1])
        self._hold(chunk[last + 1 :])
        return text

    def take(self, *, final: bool = False) -> str:
        """Return the part of a line that is held. `final`: nothing more will come."""
        text = self._decoder.decode(bytes(self._held), final)
        self._held.clear()
        return text + (self._note() if final else "")

    def _hold(self, part: bytes) -> None:
        kept = part[: MAX_LINE - self._length]
        self._held += kept
        self._length += len(kept)
        self._cut += len(part) - len(kept)

    def _first_line(self) -> str:
        text = self._decoder.decode(bytes(self._held), final=self._cut > 0) + self._note()
        self._held.clear()
        self._length = self._cut = 0
        return text

    def _note(self) -> str:
        return f" ... [{self._cut:,} bytes of this line were cut]" if self._cut else ""
