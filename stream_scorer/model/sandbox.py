"""The working directory of a model: it holds the model's attachment, unpacked and as the archive, and nothing else.

A ModelOp model opens its files relative to the working directory, so the process changes to it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stream_scorer.errors import ModelError
from stream_scorer.system.folders import new_temporary_folder

MAX_BYTES = 4 << 30
"""Bytes that one attachment may unpack to, so that an archive bomb does not fill the disk."""


@contextlib.contextmanager
def sandbox(attachment: Path | None) -> Iterator[Path]:
    """A new working directory with the attachment unpacked, for the time of the block. It applies to the whole process.

    Relative paths refer to it within the block, so resolve your own before. Raises ModelError as `unpack`; SettingsError: no
    directory can be made.
    """
    home = Path.cwd()
    inside = new_temporary_folder("stream-scorer-")
    try:
        if attachment is not None:
            unpack(attachment, inside)
            if not (inside / attachment.name).exists():  # some models open the archive itself
                (inside / attachment.name).symlink_to(attachment.resolve())
        os.chdir(inside)
        sys.path.insert(0, str(inside))  # an attachment may carry Python modules
        yield inside
    finally:
        with contextlib.suppress(OSError):  # it may be gone, and the rest is still to be done
            os.chdir(home)
        with contextlib.suppress(ValueError):
            sys.path.remove(str(inside))
        shutil.rmtree(inside, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Whether it is a tar or zip archive by its content."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(archive: Path, into: Path) -> None:
    """Unpack a .tar.gz, .tar or .zip of plain files.

    Raises ModelError: no such file, not an archive, a member outside of the directory, more than MAX_BYTES.
    """
    _read(archive, into)


def member_names(archive: Path) -> list[str]:
    """Names of the files in an archive. Raises ModelError as `unpack`."""
    return _read(archive, None)


def _read(archive: Path, into: Path | None) -> list[str]:
    if not archive.is_file():
        raise ModelError(f"attachment {archive}: no such file. Give the archive of the model's files by --attachment.")
    try:
        # A plain tar whose last member is a zip (.npz, .keras) also looks like that zip.
        if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
            return _unpack_zip(archive, into)
        return _unpack_tar(archive, into)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ModelError(
            f"attachment {archive}: cannot be unpacked ({error}). It must be a .tar.gz or .zip, not encrypted."
        ) from error


def _unpack_tar(archive: Path, into: Path | None) -> list[str]:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise ModelError(f"attachment {archive}: {member.name!r} is a link or device. Pack plain files only.")
            _check_name(archive, member.name)
        _check_size(archive, sum(member.size for member in members))
        # By hand, names and contents only: an attachment must not set owner, mode or times, and not every Python 3.11 has
        # the filters of `extractall`.
        for member in members if into else ():
            target = into / member.name  # type: ignore[operator]
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None, "a plain file"
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
        return [member.name for member in members if member.isfile()]


def _unpack_zip(archive: Path, into: Path | None) -> list[str]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if info.external_attr >> 16 & 0o170000 == 0o120000:
                raise ModelError(f"attachment {archive}: {info.filename!r} is a link. Pack plain files only.")
            _check_name(archive, info.filename)
        _check_size(archive, sum(info.file_size for info in zipped.infolist()))
        if into:
            zipped.extractall(into)
        return [info.filename for info in zipped.infolist() if not info.is_dir()]


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ModelError(
            f"attachment {archive}: {name!r} points outside the model's directory. Pack relative paths only."
        )


def _check_size(archive: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise ModelError(f"attachment {archive}: unpacks to {size:,} bytes, more than the {MAX_BYTES:,} allowed.")
