"""Folders of the operating system: the user's own, and temporary ones.

A temporary folder belongs to the process that made it, which holds a lock on it. The system gives the lock back when that
process ends, however it ends. So a folder that is not locked was left behind, and `remove_left_folders` may remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stream_scorer.errors import SettingsError

log = logging.getLogger(__name__)
PREFIX = "stream-scorer-model-"
"""Of folders with the files of one model, in the process that runs it. Nothing else has names that begin so."""
_locks: dict[Path, int] = {}
"""The descriptor that holds the lock of each folder of this process."""


def user_folder(variable: str, default: str) -> Path:
    """The folder `stream-scorer` in the folder that the variable names; without it, in `default` below the home directory.

    Raises SettingsError if there is no home directory, as in a container that runs as an unknown user.
    """
    if named := os.environ.get(variable):
        return Path(named) / "stream-scorer"
    try:
        return Path.home() / default / "stream-scorer"
    except RuntimeError as error:
        raise SettingsError(f"there is no home directory. Set {variable}, or HOME.") from error


def others_may_write(folder: Path) -> str | None:
    """Why somebody else than this user and root may change what is in a folder; None if nobody may, or it is not there."""
    try:
        found = folder.stat()
    except OSError:
        return None
    if found.st_uid not in (os.getuid(), 0):
        return f"it belongs to user {found.st_uid}"
    return "all users may write to it" if found.st_mode & 0o002 else None


def new_temporary_folder(prefix: str) -> Path:
    """Create a temporary folder, locked until `remove_temporary_folder`. Raises SettingsError if that fails."""
    try:
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix))
            with contextlib.suppress(FileNotFoundError):  # another process has taken it for left behind already
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                if _lock(path, descriptor) is not False:
                    _locks[path] = descriptor
                    return path
                os.close(descriptor)  # another process is about to remove it
    except OSError as error:
        raise SettingsError(
            f"no temporary files can be made ({error.strerror or error}). Set TMPDIR to a writable folder with "
            "free space, or mount one at /tmp."
        ) from error


def remove_temporary_folder(path: Path) -> None:
    """Remove a folder that `new_temporary_folder` made. Logs a warning if something of it cannot be removed."""
    if not remove_tree(path):
        log.warning("%s: it cannot be removed completely. Remove it by hand.", path)
    descriptor = _locks.pop(path, None)
    if descriptor is not None:
        os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder for the time of the block. Raises SettingsError: none can be made."""
    path = new_temporary_folder(prefix)
    try:
        yield path
    finally:
        remove_temporary_folder(path)


def remove_left_folders(prefix: str) -> int:
    """Remove temporary folders of this user whose process has ended without removing them. Return their number.

    Folders of living processes, other users' folders and symbolic links are left alone. `prefix` is that of
    `new_temporary_folder`. Blocks while it removes.
    """
    removed = 0
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in [entry for entry in entries if entry.name.startswith(prefix)]:
            with contextlib.suppress(OSError):
                removed += _remove_if_left(Path(entry.path))
    return removed


def _remove_if_left(path: Path) -> bool:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # None: this file system has no locks, so nothing says that the folder is not in use.
        return bool(_lock(path, descriptor)) and remove_tree(path)
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> bool | None:
    """Lock a folder. False: another process holds it, or has removed it. None: the file system cannot lock folders."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def remove_tree(path: Path) -> bool:
    """Remove a folder with all that is in it. Return whether it is gone.

    Folders in it that are closed to their owner are opened first. Any depth is removed: each inner folder is moved up
    before it is emptied, as a path may be too long for the system. Symbolic links are removed, not followed.
    """
    try:
        path.chmod(0o700)
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        _empty(top)
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        path.rmdir()
    return not os.path.lexists(path)


def _empty(top: int) -> None:
    """Remove the contents of the folder with this descriptor, as far as possible."""
    moved = 0
    waiting = os.listdir(top)
    while waiting:
        name = waiting.pop()
        if _unlinked(name, top):
            continue
        with contextlib.suppress(OSError):
            os.chmod(name, 0o700, dir_fd=top)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for child in os.listdir(inner):  # noqa: PTH208 - by descriptor: its path may be too long
                    if not _unlinked(child, inner):
                        with contextlib.suppress(OSError):
                            os.chmod(child, 0o700, dir_fd=inner)
                            moved += 1
                            os.rename(child, f".removed-{os.getpid()}-{moved}", src_dir_fd=inner, dst_dir_fd=top)
                            waiting.append(f".removed-{os.getpid()}-{moved}")
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    """Whether the entry was something else than a folder, and is removed."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
