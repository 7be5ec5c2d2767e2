"""One slot per service of a group on a host, so that transactional ids are stable and never shared.

A stable id lets a restarted service end at once what its dead predecessor left open. Two living ones
with the same id would fence each other for ever.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO

MOST = 1_000


class Slot:
    """The lowest number no other living process of this host holds under the same name.

    Held until the process ends, however it ends: the lock is the kernel's.
    """

    def __init__(self, name: str) -> None:
        folder = Path(tempfile.gettempdir()) / f"stream-scorer-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        stem = hashlib.sha256(name.encode()).hexdigest()[:16]
        for number in range(MOST):
            file = (folder / f"{stem}.{number}").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            self.number = number
            self._file: IO[str] = file
            return
        raise AssertionError(f"{MOST} living services named {name}")

    def release(self) -> None:
        self._file.close()
