"""The directory of one jet: its sandbox with the attachments unpacked, and the module's file in it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from stream_scorer.errors import ModelError
from stream_scorer.model.archive import is_packed, unpack
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.system.folders import new_temporary_folder, remove_left_folders, remove_temporary_folder

log = logging.getLogger(__name__)
PREFIX = "stream-scorer-jet-"


class JetFolder:
    """On disk until `remove`. Raises ModelError: an attachment cannot be read, or its archive is not safe."""

    def __init__(self, package: ModelPackage, stop: Callable[[], bool] = lambda: False) -> None:
        """`stop` is asked now and then: if it returns True, ModelError is raised."""
        self.path = new_temporary_folder(PREFIX)
        self.sandbox = self.path / "sandbox"
        try:
            self.sandbox.mkdir()
            for name, content in sorted(package.attachments, key=lambda attachment: attachment[0]):
                _check(stop, package)
                self._attach(PurePosixPath(name).name or "attachment", content, stop)
            _check(stop, package)
            self.module = self.sandbox / package.file_name
            if self.module.exists():  # an attachment has a file of that name, which the model may read
                self.module = self.path / package.file_name
            self.module.write_bytes(package.source)
        except BaseException:
            self.remove()
            raise

    def _attach(self, name: str, content: bytes | Path, stop: Callable[[], bool]) -> None:
        archive = self.path / "attachments" / name
        archive.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            archive.write_bytes(content)
        else:
            try:
                shutil.copyfile(content, archive)
            except OSError as error:
                raise ModelError(f"attachment {name}: {content} cannot be read ({error.strerror}).") from error
        if is_packed(archive):
            unpack(archive, self.sandbox, stop)
        # Some models open the archive itself.
        if not (self.sandbox / name).exists():
            os.link(archive, self.sandbox / name)

    def remove(self) -> None:
        remove_temporary_folder(self.path)


def _check(stop: Callable[[], bool], package: ModelPackage) -> None:
    if stop():
        raise ModelError(f"{package.name}: its jet was closed before it had started.")


def remove_left() -> None:
    """Remove the folders of jets whose engine was killed. Those of living engines stay."""
    if removed := remove_left_folders(PREFIX):
        log.info("%d folders of jets were removed, which an engine that was killed had left", removed)
