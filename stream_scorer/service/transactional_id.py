"""One slot per service of a group on a host, so that transactional ids are stable and never shared.

A stable id lets a restarted service end at once what its dead predecessor left open. Two living ones
with the same id would fence each other for ever.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import pwd
import socket
import stat
import sys
from pathlib import Path
from typing import Protocol

from stream_scorer.errors import SettingsError

log = logging.getLogger(__name__)

MOST = 1_000
TEMPORARY = Path("/tmp")


class _Lock(Protocol):
    def close(self) -> None: ...


class Slot:
    """The lowest number no other living process of this host holds under the same name.

    Held until `release`, or until the process ends, however it ends: the lock is the kernel's. Nothing of the environment
    chooses its place: two services meet whatever their variables say.

    Raises:
        SettingsError: all numbers are taken, or there is no place for a lock.
    """

    def __init__(self, name: str) -> None:
        stem = hashlib.sha256(name.encode()).hexdigest()[:32]
        for number in range(MOST):
            held = _hold(f"{stem}.{number}")
            if held is not None:
                self.number, self._held = number, held
                return
        raise SettingsError(f"{MOST} living services have the name {name}. Give this one another --instance.")

    def release(self) -> None:
        self._held.close()


def _hold(name: str) -> _Lock | None:
    """The lock of a name, or None if it is held."""
    if sys.platform == "linux":
        try:
            return _hold_socket(name)
        except OSError as error:  # a sandbox that has no such sockets
            log.debug("no abstract socket (%s): a file is locked instead", error)
    return _hold_file(name)


def _hold_socket(name: str) -> socket.socket | None:
    """A name that only the kernel knows: nothing to clean up, to own, or to write to. All users of a host share it.

    It is of a network namespace, and so seen by all containers of a pod, which share their host name too.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0stream-scorer.{name}")
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held


def _hold_file(name: str) -> _Lock | None:
    """Where there are no abstract sockets: a lock on a file in a folder that is ours alone."""
    reasons = []
    for folder in _folders():
        try:
            _own(folder)
            descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            file = os.fdopen(descriptor, "a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return None
            except OSError:
                file.close()
                raise
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
        else:
            return file
    raise SettingsError(
        f"no folder for the lock of this service's transactional id ({'; '.join(reasons)}). Make one of them a folder "
        "of this user, which nobody else may write to."
    )


def _folders() -> list[Path]:
    """The same ones for all processes of a user: the home is the one in the password database."""
    folders = [TEMPORARY / f"stream-scorer-{os.getuid()}"]
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user without an entry, as containers may have
        return folders
    return [home / ".local" / "state" / "stream-scorer" / "locks", *folders]


def _own(folder: Path) -> None:
    """Make sure that a folder is there and ours alone: else others could take its files away. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "no folder, but a link to one")
    if found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"it is of user {found.st_uid}")
    if found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others may write to it")
