"""Writes and reads archives: .tar, also packed by gzip, bzip2 or xz, and .zip. Equal files give a .tar.gz of equal bytes.

An archive is data from outside. It is read twice: first its list, within limits of count, bytes and time, then the contents.
So nothing is written of an archive that is refused.

Over 300 lines: what the list refuses is what unpacking relies on, so the two are read together.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, Protocol

from stream_scorer.errors import ModelError
from stream_scorer.model.manifest import short, shown

MAX_BYTES = 4 << 30
"""Bytes that an archive may unpack to, so that an archive bomb does not fill the disk."""
MAX_MEMBERS = 20_000
"""Files and folders in an archive, those folders too that only paths name."""
MAX_RATIO, SMALL = 200, 256 << 20
"""Above SMALL bytes, an archive may unpack to no more than MAX_RATIO times its own size. Weights pack by less than 20."""
MAX_NAME, MAX_PATH, MAX_DEPTH = 255, 1000, 32
"""Bytes of a name, bytes of a path, names in a path."""
_NAMES = (".zip", ".tgz", ".tar.gz", ".tar")
_MAX_HEADERS = 64 << 10
"""Bytes of the headers of one member, which are read into memory."""
_MAX_DIRECTORY = 4 << 20
"""Bytes of the directory of a .zip, which is read into memory."""
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""What Python's readers raise on broken archives."""


class Refused(ModelError):
    """The archive is not broken, but not one that we unpack."""


class Member(NamedTuple):
    """A file or folder in an archive. open: gives the content of a file."""

    path: PurePosixPath
    size: int
    folder: bool
    key: Any


class _Archive(Protocol):
    def members(self) -> Iterator[Member]:
        """In the order of the archive."""

    def open(self, member: Member) -> IO[bytes]:
        """The content of a file."""

    def check(self) -> None:
        """Compare the contents with their checksums, if it has any. Raises one of _BROKEN."""


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the .tar.gz of `archive_bytes`."""
    path.write_bytes(archive_bytes(files))


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of `files` by name: sorted, and without times, owners or umask, so that archives compare by hash."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(files[name]))
    return packed.getvalue()


def read_archive(path: Path) -> dict[str, bytes]:
    """The contents of the files in an archive, by name. Raises ModelError as `unpack`."""
    with _opened(path) as archive:
        return {
            str(member.path): archive.open(member).read() for member in _checked(path, archive) if not member.folder
        }


def unpack(path: Path, into: Path, stop: Callable[[], bool] = lambda: False) -> None:
    """Unpack an archive of plain files into a folder. Owners, modes and times are not taken from it.

    `stop` is asked now and then; when it returns True, nothing more is unpacked.

    Raises ModelError: no such file, not an archive, more than the limits above, or a member that is a link, a device or a
    sparse file, or that is outside of the folder.
    """
    with _opened(path) as archive:
        for member in _checked(path, archive):
            if stop():
                return
            target = into / member.path
            if member.folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as content, target.open("wb") as file:
                while not stop() and (chunk := content.read(1 << 20)):
                    file.write(chunk)


def member_names(path: Path) -> list[str]:
    """Names of the files in an archive. Raises ModelError as `unpack`, also if a file in it is broken."""
    with _opened(path) as archive:
        names = [str(member.path) for member in _checked(path, archive) if not member.folder]
        archive.check()
        return names


def is_archive(path: Path) -> bool:
    """Whether it is an archive by its content: its beginning can be read as one."""
    if not path.is_file():
        return False
    return _is_tar(path) or zipfile.is_zipfile(path)


def is_packed(attachment: Path) -> bool:
    """Whether an attachment has to be unpacked: it is an archive by its content, or by its name and then a broken one."""
    return is_archive(attachment) or attachment.name.lower().endswith(_NAMES)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    """Errors of reading in the block become ModelErrors."""
    if not path.is_file():
        raise ModelError(f"attachment {path}: no such file. Give the archive of the model's files by --attachment.")
    try:
        # A plain tar whose last member is a zip (.npz, .keras) also looks like that zip.
        if zipfile.is_zipfile(path) and not _is_tar(path):
            with _Zip(path) as zipped:
                yield zipped
        else:
            with _Tar(path) as tar:
                yield tar
    except _BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else short(error)
        raise ModelError(
            f"attachment {path}: cannot be unpacked ({reason}). It must be a .tar.gz or .zip, not encrypted."
        ) from error
    except Refused as error:
        raise ModelError(f"attachment {path}: {error}") from None


def _is_tar(path: Path) -> bool:
    try:
        with _Tar(path) as tar:
            next(tar.members(), None)
    except _BROKEN:
        return False
    except Refused:
        return True
    return True


def _checked(path: Path, archive: _Archive) -> list[Member]:
    """All members of an archive that is within the limits. Raises Refused."""
    members: list[Member] = []
    folders: set[PurePosixPath] = set()
    size = 0
    packed = path.stat().st_size
    for member in archive.members():
        members.append(member)
        folders.update(member.path.parents)
        if len(members) + len(folders) > MAX_MEMBERS:
            raise Refused(f"it has more than {MAX_MEMBERS:,} files and folders. Pack fewer, larger files.")
        size += member.size
        _check_size(size, packed)
    return members


def _check_size(size: int, packed: int) -> None:
    """Raises Refused. packed: bytes of the archive itself."""
    if size > MAX_BYTES:
        raise Refused(f"unpacks to {size:,} bytes, more than the {MAX_BYTES:,} allowed.")
    if size > max(SMALL, MAX_RATIO * packed):
        raise Refused(
            f"unpacks to {size:,} bytes, more than {MAX_RATIO} times its own {packed:,}, as only archive bombs do. If these are "
            "a model's files, pack them as .tar, without compression."
        )


def _path_of(name: str) -> PurePosixPath:
    """The path of a member. Raises Refused: it is none within the folder that a file system takes."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise Refused(f"{shown(name)} points outside the model's directory. Pack relative paths only.")
    sizes = [len(os.fsencode(part)) for part in path.parts]
    if "\0" in name or max(sizes, default=0) > MAX_NAME or sum(sizes) + len(sizes) > MAX_PATH or len(sizes) > MAX_DEPTH:
        raise Refused(
            f"{shown(name)}: a name has no more than {MAX_NAME} bytes, a path {MAX_PATH} and {MAX_DEPTH} names."
        )
    return path


class _Tar:
    """A context manager."""

    def __init__(self, path: Path) -> None:
        self._file = _Bounded(_decompressed(path), MAX_BYTES + MAX_MEMBERS * 4096)
        self._file.allowance = _MAX_HEADERS
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115 - closed by __exit__
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> _Tar:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()
        self._file.close()

    def members(self) -> Iterator[Member]:
        while True:
            self._file.allowance = _MAX_HEADERS
            info = self._tar.next()
            if info is None:
                break
            if info.issparse() or not (info.isfile() or info.isdir()):
                raise Refused(f"{shown(info.name)} is a link or device, or a sparse file. Pack plain files only.")
            if info.size < 0:
                raise ValueError(f"a member of {info.size} bytes")
            yield Member(_path_of(info.name), info.size if info.isfile() else 0, info.isdir(), info)
        self._file.allowance = None

    def open(self, member: Member) -> IO[bytes]:
        self._file.allowance = None
        content = self._tar.extractfile(member.key)
        assert content is not None, "a plain file"
        return content

    def check(self) -> None:
        """There are no checksums of files; that of the whole is compared as the list is read."""


class _Zip:
    """A context manager."""

    def __init__(self, path: Path) -> None:
        self._file = _Bounded(path.open("rb"))
        self._file.allowance = _MAX_DIRECTORY
        try:
            self._zip = zipfile.ZipFile(self._file)
        except BaseException:
            self._file.close()
            raise
        self._file.allowance = None

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def members(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            if info.external_attr >> 16 & 0o170000 not in (0, 0o100000, 0o040000):
                raise Refused(f"{shown(info.filename)} is a link or device. Pack plain files only.")
            yield Member(_path_of(info.filename), info.file_size, info.is_dir(), info)

    def open(self, member: Member) -> IO[bytes]:
        return self._zip.open(member.key)

    def check(self) -> None:
        if broken := self._zip.testzip():
            raise zipfile.BadZipFile(f"{shown(broken)} is broken in it")


def _decompressed(path: Path) -> IO[bytes]:
    """The content of a tar that is packed by gzip, bzip2, xz or not at all."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path)  # type: ignore[return-value]
    if magic[:3] == b"BZh":
        return bz2.open(path)
    if magic == b"\xfd7zXZ\0" or magic[:3] == b"\x5d\0\0":
        return lzma.open(path)
    return path.open("rb")


class _Bounded(io.RawIOBase):
    """A file whose bytes are counted: what Python's readers take into memory, and how far they go.

    allowance: bytes that may be read from now on; None: any number. Each header says its own size, which may be a lie.
    """

    def __init__(self, file: IO[bytes], end: float = math.inf) -> None:
        self._file, self._end = file, end
        self.allowance: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > self._end:
            raise Refused(f"unpacks to more than the {MAX_BYTES:,} bytes allowed.")
        return self._file.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        size = -1 if size is None else size
        if self.allowance is None:
            return self._file.read(size)
        data = self._file.read(min(size, self.allowance + 1) if size >= 0 else self.allowance + 1)
        self.allowance -= len(data)
        if self.allowance < 0:
            raise Refused("its headers are too large for an archive of files.")
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
