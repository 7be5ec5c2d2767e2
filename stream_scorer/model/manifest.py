"""`manifest.json` of a bundle: names, sizes and sha256 of its files. It is data from outside: anyone may have written it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
"""Beside the manifest: the Ed25519 signature of its bytes, 64 bytes."""
FORMAT = 1
MAX_MANIFEST = 1 << 20
MAX_FILES = 1000
MAX_SMALL = 64 << 20
"""Bytes of a file of a bundle that is read into memory: all but attachments."""
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_AGAIN = "Export the bundle again."


@dataclass(frozen=True)
class Listed:
    """What the manifest says of a file. sha256: in hex. size: in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """module: name of the module's file. files: by name. data: the bytes of the manifest, which a signature covers."""

    module: str
    files: Mapping[str, Listed]
    data: bytes


def is_bundle(path: Path) -> bool:
    """Whether a folder has a manifest. Raises OSError: it cannot be looked into."""
    return (path / MANIFEST).is_file()


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of a bundle. Raises ModelError: there is none, or it is not of our format."""
    path = bundle / MANIFEST
    try:
        data = read_within(path, MAX_MANIFEST)
    except ValueError as error:
        raise ModelError(f"{path}: cannot be read as a manifest: {error}. {_AGAIN}") from error
    return parse_manifest(data, str(path))


def manifest_beside(path: Path) -> Manifest | None:
    """The manifest of the bundle that a file lies in; None: it lies in no bundle.

    A folder may have a manifest.json of another kind, which is nothing to us. Raises ModelError: it is of our kind, or not even
    JSON, and cannot be read.
    """
    place = path.parent / MANIFEST
    if not place.is_symlink() and not place.exists():
        return None
    try:
        found = json.loads(read_within(place, MAX_MANIFEST))
    except (ValueError, RecursionError):
        return read_manifest(path.parent)  # which says what is wrong
    ours = isinstance(found, dict) and not {"module", "files"}.isdisjoint(found)
    return read_manifest(path.parent) if ours else None


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in these bytes. where: they are from, for errors. Raises ModelError."""
    try:
        manifest = json.loads(data.decode("utf-8"), object_pairs_hook=_no_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: cannot be read as a manifest: {short(error)}. {_AGAIN}") from error
    try:
        return _manifest(manifest, data)
    except ValueError as error:
        raise ModelError(f"{where}: not a manifest of format {FORMAT}: {error}. {_AGAIN}") from error


def _manifest(manifest: Any, data: bytes) -> Manifest:
    """Raises ValueError: it is not of the format."""
    if not isinstance(manifest, dict):
        raise ValueError("expected an object")
    form = manifest.get("format")
    if type(form) is not int or form != FORMAT:
        raise ValueError(f"its format is {shown(form)}")
    module, listed = manifest.get("module"), manifest.get("files")
    if not isinstance(module, str) or not isinstance(listed, dict):
        raise ValueError("expected a name as module, and an object as files")
    if len(listed) > MAX_FILES:
        raise ValueError(f"it lists {len(listed):,} files, more than {MAX_FILES:,}")
    files = {name: _listed(name, entry) for name, entry in listed.items()}
    if module not in files:
        raise ValueError(f"its module {shown(module)} is not among its files")
    if manifest.get("sha256") != files[module].sha256:
        raise ValueError("the sha256 of the module differs from that of its file")
    return Manifest(module, files, data)


def _listed(name: str, entry: Any) -> Listed:
    if not is_plain_name(name) or name in (MANIFEST, SIGNATURE):
        raise ValueError(f"{shown(name)} is not the name of a file of a bundle")
    sha256, size = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"the sha256 of {shown(name)} is {shown(sha256)}, not 64 digits of lower case")
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise ValueError(f"the size of {shown(name)} is {shown(size)}")
    return Listed(sha256, size)


def is_plain_name(name: str) -> bool:
    """Whether it is the name of one visible file: no path, no control character, no more than 255 bytes."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= 255 and name.isprintable() and name[0] != "." and not set(name) & {"/", "\\"}


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two entries of one name would mean one thing to us and another to other readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice in one object")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def files_not_listed(bundle: Path, known: Mapping[str, Any]) -> list[str]:
    """One line for each thing in the folder that the manifest does not list.

    Names that begin with `..` do not count: Kubernetes keeps the files of a mounted ConfigMap behind such, and no manifest
    may list one, so they are never read.
    """
    try:
        found = sorted(entry.name for entry in os.scandir(bundle))
    except OSError as error:
        return [f"its files cannot be listed ({error.strerror})"]
    extra = [name for name in found if name not in known and name not in (MANIFEST, SIGNATURE) and name[:2] != ".."]
    lines = [f"{name if is_plain_name(name) else shown(name)} is not listed" for name in extra[:5]]
    return lines + ([f"{len(extra) - 5:,} more files are not listed"] if len(extra) > 5 else [])


def read_listed(path: Path, listed: Listed) -> bytes:
    """The bytes of a file of a bundle, as the manifest has them. Raises ValueError: it differs, or cannot be read."""
    try:
        data = read_within(path, MAX_SMALL)
    except ValueError as error:
        raise ValueError(f"{path.name} {error}") from error
    check_bytes(path.name, data, listed)
    return data


def check_bytes(name: str, data: bytes, listed: Listed) -> None:
    """Raises ValueError: they are not those that the manifest has under this name."""
    if (sha256 := hashlib.sha256(data).hexdigest()) != listed.sha256:
        raise ValueError(differs(name, sha256, listed))
    if len(data) != listed.size:
        raise ValueError(f"{name} has {len(data):,} bytes, not {listed.size:,}")


def differs(name: str, sha256: str, listed: Listed) -> str:
    return f"{name} has sha256 {sha256[:12]}..., not {listed.sha256[:12]}..."


def sha256_of(path: Path) -> str:
    """Of a file's content, in hex. Raises ValueError: it cannot be read."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chunks(path: Path) -> Iterator[bytes]:
    """The content of a file, piece by piece. Raises ValueError as `opened`."""
    with opened(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def read_within(path: Path, most: int) -> bytes:
    """The content of a file. Raises ValueError: it cannot be read, or is longer than `most` bytes."""
    with opened(path) as file:
        try:
            data = file.read(most + 1)
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(data) > most:
        raise ValueError(f"has more than {most:,} bytes")
    return data


def opened(path: Path) -> BufferedReader:
    """A plain file, open for reading. Raises ValueError: it is missing, or something else; a pipe is not waited for.

    The text continues a sentence that begins with the name of the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ValueError("is missing") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("is not a plain file")
    return os.fdopen(descriptor, "rb")


def leads_outside(path: Path) -> bool:
    """Whether the file is a link to a place outside its folder. Inside it, a mounted ConfigMap has links."""
    try:
        return path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return True


def shown(value: Any) -> str:
    """A value from outside in an error text: short, on one line, and without control characters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a huge number"
    text = repr(value[:60] if isinstance(value, str) else value) if not isinstance(value, dict | list) else "no text"
    return text[:80]


def short(error: BaseException) -> str:
    """The text of an error about foreign data, on one line."""
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
