"""Finds the files of a model by the MODEL of a command line. Those of a bundle are checked against its manifest here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_scorer.errors import ModelError
from stream_scorer.model.manifest import is_bundle, manifest_beside, read_manifest
from stream_scorer.model.program import Program, compile_program, read_program
from stream_scorer.model.trust import ATTACHMENT, CHECKED, Bundle, Trust, read_bundle

SHIPPED = ("tf_sp500_lstm", "sp500_forecast")


@dataclass(frozen=True)
class Located:
    """The absolute paths of a module file, of its attachment if it has one, and of the folder of its schemas.

    contents: the files of a checked bundle by name, without its attachment; they are used as they were when they were checked.
        None: no bundle, or one that is not checked; the files are read when they are used.
    sha256: what the attachment must have, by the manifest; None: anything.
    """

    module: Path
    attachment: Path | None
    schema_dir: Path
    contents: Mapping[str, bytes] | None = None
    sha256: str | None = None

    @property
    def attachments(self) -> list[str]:
        """Names of the attachments, as `begin` gets them."""
        return [self.attachment.name] if self.attachment else []

    @functools.cached_property
    def program(self) -> Program:
        """The module, read once and compiled. Raises ModelError as `read_program`."""
        if self.contents is None:
            return read_program(self.module)
        return compile_program(self.contents[self.module.name], self.module)

    def beside(self, name: str) -> bytes | None:
        """The content of a small file in the module's folder; None: there is none. Raises OSError: it cannot be read."""
        if self.contents is not None:
            return self.contents.get(name)
        path = self.module.parent / name
        return path.read_bytes() if path.is_file() else None


def locate(model: str, attachment: Path | None = None, trust: Trust = CHECKED) -> Located:
    """Find the files of a model; those of a bundle are read and checked. None of the model's code is executed.

    Raises ModelError: there is no such model, or `trust` refuses it. SettingsError: what `trust` asks for cannot be had.

    Args:
        model: path of a module file or of a bundle directory, or the name of a shipped model.
        attachment: archive of the model's files; None: the one beside the module, if any.
    """
    path = Path(model)
    try:
        folder, file = path.is_dir(), path.is_file()
        bundle = folder and is_bundle(path)
    except OSError as error:
        raise ModelError(f"model {model[:200]!r}: cannot be looked for ({error.strerror}).") from error
    if trust.signers is not None:
        return _signed(path, attachment, trust, bundle=bundle)
    if bundle and trust.unverified:
        return _located(path / read_manifest(path).module, attachment)
    sha256 = None if attachment is None or trust.unverified else _listed_sha256(attachment)
    if bundle:
        return _checked(path, read_bundle(path, trust), attachment, sha256)
    if file:
        manifest = None if trust.unverified else manifest_beside(path)
        if manifest is not None and manifest.module == path.name:
            return _checked(path.parent, read_bundle(path.parent, trust, alone=False), attachment, sha256)
        return _located(path, attachment, sha256)
    if model in SHIPPED and not path.exists():
        return _located(_shipped_folder() / f"{model}.py", attachment, sha256)
    problem = "a directory without manifest.json" if folder else "no such file"
    raise ModelError(
        f"model {model!r}: {problem}. Give the path of a module (.py), of a bundle that `stream-scorer export` wrote, "
        f"or the name of a shipped model: {', '.join(SHIPPED)}."
    )


def absolute(model: str) -> str:
    """Return a MODEL that `locate` finds from any working directory."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def _signed(path: Path, attachment: Path | None, trust: Trust, *, bundle: bool) -> Located:
    if not bundle:
        raise ModelError(
            f"model {str(path)!r}: --require-signature asks for a signed bundle, and this is none. "
            "Make one: `stream-scorer export MODEL --out BUNDLE --sign KEY`."
        )
    trust.check_files([attachment])
    return _checked(path, read_bundle(path, trust), None)


def _located(module: Path, attachment: Path | None, sha256: str | None = None) -> Located:
    module = module.resolve()
    place = attachment.resolve() if attachment else attachment_beside(module)
    return Located(module, place, module.parent, sha256=sha256)


def _listed_sha256(attachment: Path) -> str | None:
    """What an attachment that was asked for must have, if it lies in a bundle. Raises ModelError: the manifest is broken."""
    manifest = manifest_beside(attachment)
    listed = manifest.files.get(attachment.name) if manifest else None
    return listed.sha256 if listed else None


def attachment_beside(module: Path) -> Path | None:
    """The attachment of a module: MODULE.tar.gz, which a folder with several modules needs, else attachment.tar.gz."""
    places = (module.with_suffix(".tar.gz"), module.parent / ATTACHMENT)
    return next((place for place in places if place.is_file()), None)


def _checked(folder: Path, bundle: Bundle, attachment: Path | None, sha256: str | None = None) -> Located:
    """attachment, sha256: of the one that was asked for; None: that of the bundle."""
    folder = folder.resolve()
    name = bundle.attachment
    if attachment is not None:
        attachment = attachment.resolve()
    elif name is not None:
        attachment, sha256 = folder / name, bundle.manifest.files[name].sha256
    return Located(
        folder / bundle.manifest.module,
        attachment,
        folder,
        bundle.contents,
        sha256,
    )


def _shipped_folder() -> Path:
    return Path(__file__).parents[1] / "models"
