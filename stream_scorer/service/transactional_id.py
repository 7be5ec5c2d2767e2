"""A number for each service of one name on a host, so that transactional ids are stable and never shared.

A stable id lets a restarted service end at once what its dead predecessor left open. Two living
services with the same id would fence each other for ever.
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

MAX_SERVICES = 1_000
TEMPORARY = Path("/tmp")


class _Lock(Protocol):
    def close(self) -> None: ...


class InstanceNumber:
    """The lowest number that no other living process of this host holds under the same name.

    text: the number, as a part of a transactional id. Where only files can be locked, which two users do not share, it has
    the number of the user before it.

    Held until `release`, or until the process ends, however it ends: the lock is the kernel's. Nothing of the environment
    chooses its place: two services meet whatever their variables say.

    Raises:
        SettingsError: all numbers are taken, or there is no place for a lock.
    """

    def __init__(self, name: str) -> None:
        stem = hashlib.sha256(name.encode()).hexdigest()[:32]
        for number in range(MAX_SERVICES):
            lock = _lock(f"{stem}.{number}")
            if lock is not None:
                self.number, self._lock = number, lock
                self.text = f"{os.getuid()}-{number}" if isinstance(lock, _FileLocks) else str(number)
                return
        raise SettingsError(f"{MAX_SERVICES} living services have the name {name}. Give this one another --instance.")

    def release(self) -> None:
        self._lock.close()


def _lock(name: str) -> _Lock | None:
    """The lock of a name, or None if it is held."""
    if sys.platform == "linux":
        try:
            return _lock_socket(name)
        except OSError as error:  # a sandbox that has no such sockets
            log.debug("no abstract socket (%s): a file is locked instead", error)
    return _lock_files(name)


def _lock_socket(name: str) -> socket.socket | None:
    """An abstract Unix socket: nothing to clean up, to own, or to write to. All users of a host share its name.

    The name is of a network namespace, and so seen by all containers of a pod, which share their host name too.
    """
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0stream-scorer.{name}")
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return lock


class _FileLocks:
    """Locks on files, released together."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def close(self) -> None:
        while self.held:
            os.close(self.held.pop())


def _lock_files(name: str) -> _FileLocks | None:
    """Where there are no abstract sockets: locks on files, in each folder that is this user's alone.

    In each: if one of them cannot be used for a while, two services still meet in the other. Nothing that somebody else has
    put in the place of a folder or file is opened, followed or waited for.
    """
    locks, reasons = _FileLocks(), []
    for folder in _folders():
        try:
            locks.held.append(_lock_file(folder, name))
        except BlockingIOError:
            locks.close()
            return None
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
    if not locks.held:
        raise SettingsError(
            f"no folder for the lock of this service's transactional id ({'; '.join(reasons)}). Make one of them a folder "
            "of this user, which nobody else may write to."
        )
    return locks


def _lock_file(folder: Path, name: str) -> int:
    """The descriptor of a locked file. Raises BlockingIOError if another process holds the lock, else OSError."""
    _check_own(folder)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise OSError(errno.EINVAL, "the file of the lock is not a plain file")


def _folders() -> list[Path]:
    """The same folders for all processes of a user: the home is the one in the password database."""
    folders = [TEMPORARY / f"stream-scorer-{os.getuid()}"]
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user without an entry, as containers may have
        return folders
    return [home / ".local" / "state" / "stream-scorer" / "locks", *folders]


def _check_own(folder: Path) -> None:
    """Create a folder, or make sure that only this user may write to it: others could remove its files. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder, but a link to one")
    if status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"it belongs to user {status.st_uid}")
    if status.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others may write to it")
