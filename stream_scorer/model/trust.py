"""Reads a bundle so that what was checked is what is used: each file is read once, hashed, and kept in memory.

An attachment is too large for that. It is hashed here, and once more while `attached` makes the private copy that is unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.model import manifest as manifests
from stream_scorer.model.manifest import MANIFEST, SIGNATURE, Listed, Manifest
from stream_scorer.model.signature import check_signature, read_signature
from stream_scorer.system.folders import PREFIX, new_temporary_folder, remove_temporary_folder

ATTACHMENT = "attachment.tar.gz"
_ARCHIVES = (".tar.gz", ".tgz", ".zip")
_WAY_OUT = "Export it again; or say --unverified to use it as it is."


@dataclass(frozen=True)
class Trust:
    """What to ask of a model's files before they are used.

    unverified: use a bundle whatever its manifest says. signers: file of the public keys, one of which must have signed the
    bundle; None: no signature is asked for. Raises SettingsError: both are given.
    """

    unverified: bool = False
    signers: Path | None = None

    def __post_init__(self) -> None:
        if self.unverified and self.signers is not None:
            raise SettingsError("--unverified contradicts --require-signature: choose one.")

    def check_files(self, others: Iterable[object]) -> None:
        """Raises SettingsError: there are other files than those of the bundle, and a signature is asked for."""
        if self.signers is not None and any(others):
            raise SettingsError(
                "an attachment or a schema of its own (--attachment, --schema) contradicts --require-signature: no signature "
                "covers that file. Export the model with it."
            )


CHECKED = Trust()
"""The default: a bundle has to be what its manifest says."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that is what its manifest says. contents: of all files but archives, by name."""

    manifest: Manifest
    contents: Mapping[str, bytes]

    @property
    def attachment(self) -> str | None:
        """Name of the attachment; None: it has none."""
        names = (Path(self.manifest.module).with_suffix(".tar.gz").name, ATTACHMENT)
        return next((name for name in names if name in self.manifest.files), None)


def read_bundle(folder: Path, trust: Trust, *, alone: bool = True) -> Bundle:
    """Read and check all files of a bundle. Blocks while archives are hashed.

    alone: other files in the folder are a mistake, too.

    Raises ModelError: a file differs from the manifest, is missing, is not listed, or is a link out of the folder; or the
    signature that `trust` asks for is missing or wrong. SettingsError: the public keys cannot be read.
    """
    manifest = manifests.read_manifest(folder)
    if trust.signers is not None:
        check_signature(manifest.data, read_signature(folder), trust.signers, str(folder))
    contents, problems = _contents(folder, manifest)
    unknown = manifests.files_not_listed(folder, manifest.files) if alone else []
    if unknown and not problems:
        raise ModelError(
            f"{folder}: not what its manifest says: {'; '.join(unknown)}. Remove that; or say --unverified to use it as it is."
        )
    problems += unknown
    if problems:
        raise ModelError(f"{folder}: not what its manifest says: {'; '.join(problems[:10])}. {_WAY_OUT}")
    return Bundle(manifest, contents)


def _contents(folder: Path, manifest: Manifest) -> tuple[dict[str, bytes], list[str]]:
    """The files of a bundle but for archives, and what is wrong."""
    contents: dict[str, bytes] = {}
    problems: list[str] = []
    for name in (MANIFEST, SIGNATURE, *manifest.files):
        path = folder / name
        if manifests.leads_outside(path):
            problems.append(f"{name} is a link to a place outside the bundle")
            continue
        listed = manifest.files.get(name)
        try:
            if listed is not None and name.endswith(_ARCHIVES):
                _check_archive(path, listed)
            elif listed is not None:
                contents[name] = manifests.read_listed(path, listed)
        except ValueError as error:
            problems.append(str(error))
    return contents, problems


def _check_archive(path: Path, listed: Listed) -> None:
    """Raises ValueError: it differs."""
    try:
        sha256 = manifests.sha256_of(path)
    except ValueError as error:
        raise ValueError(f"{path.name} {error}") from error
    if sha256 != listed.sha256:
        raise ValueError(manifests.differs(path.name, sha256, listed))


def read_part(path: Path, data: bytes, trust: Trust = CHECKED) -> bytes:
    """Return `data`, the content of the file `path`, for whoever uses the files of a bundle one by one.

    Raises ModelError: a manifest is beside the file and says that it is another content; or `trust` asks for a signature, and the
    file is of no signed bundle. SettingsError: the public keys cannot be read.
    """
    if trust.unverified:
        return data
    manifest = manifests.manifest_beside(path)
    if trust.signers is not None:
        if manifest is None or path.name not in manifest.files:
            raise ModelError(f"{path}: --require-signature asks for a file of a signed bundle, and this is none.")
        check_signature(manifest.data, read_signature(path.parent), trust.signers, str(path.parent))
    if manifest is not None and path.name in manifest.files:
        try:
            manifests.check_bytes(path.name, data, manifest.files[path.name])
        except ValueError as error:
            raise ModelError(f"{path.parent}: not what its manifest says: {error}. {_WAY_OUT}") from error
    return data


class Attached(NamedTuple):
    """A copy of an attachment that nobody else writes to. sha256: of its content, in hex."""

    path: Path
    sha256: str


@contextlib.contextmanager
def attached(attachment: Path | None, sha256: str | None = None) -> Iterator[Attached | None]:
    """A private copy of an attachment for the time of the block, with its hash; None for none. Blocks while it copies.

    Whoever changes the file meanwhile changes neither what is unpacked nor its hash. Raises ModelError: it cannot be read, or
    has not this sha256. SettingsError: no folder can be made.
    """
    if attachment is None:
        yield None
        return
    folder = new_temporary_folder(PREFIX)
    try:
        digest, copy = hashlib.sha256(), folder / attachment.name
        try:
            with copy.open("xb") as file:
                for chunk in manifests.chunks(attachment):
                    digest.update(chunk)
                    file.write(chunk)
        except ValueError as error:
            raise ModelError(
                f"attachment {attachment}: {error}. Give the archive of the model's files by --attachment."
            ) from error
        except OSError as error:
            raise ModelError(f"attachment {attachment}: cannot be copied ({error.strerror}). Set TMPDIR.") from error
        if sha256 is not None and digest.hexdigest() != sha256:
            raise ModelError(
                f"attachment {attachment}: not what the manifest says, or changed after it was checked. {_WAY_OUT}"
            )
        yield Attached(copy, digest.hexdigest())
    finally:
        remove_temporary_folder(folder)
