"""The working directory of a model: it holds the model's attachment, unpacked and as the archive, and nothing else.

A ModelOp model opens its files relative to the working directory, so the process changes to it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stream_scorer.model.archive import unpack
from stream_scorer.system.folders import PREFIX, new_temporary_folder, remove_left_folders, remove_temporary_folder


@contextlib.contextmanager
def sandbox(attachment: Path | None) -> Iterator[Path]:
    """A new working directory with the attachment unpacked, for the time of the block. It applies to the whole process.

    What earlier processes of this user have left, because they were killed, is removed before.
    Relative paths refer to it within the block, so resolve your own before. Raises ModelError as `unpack`; SettingsError: no
    directory can be made.
    """
    home = Path.cwd()
    remove_left_folders(PREFIX)
    inside = new_temporary_folder(PREFIX)
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
        remove_temporary_folder(inside)
