"""The tutorial that the seed model comes from, where it lies beside the checkout: its files and commands, as written there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np

NAME = "tf_sp500_lstm"


class Tutorial:
    """Of the folder `reference_data`, which has TensorFlow 1.4's checkpoint and what it gave, too."""

    def __init__(self, reference_data: Path) -> None:
        self._data = reference_data
        self._text = (reference_data.parent / "reference" / "seed-tutorial.md").read_bytes()

    @property
    def script(self) -> bytes:
        """The model, byte for byte."""
        (script,) = [block for block in self._blocks(b"python") if b"ModelOp Center.schema.0" in block]
        return script

    def golden(self) -> np.lib.npyio.NpzFile:
        """`stream`: inputs. `pred_tf1_4_0`: what the script gave on TensorFlow 1.4, from the 30th on."""
        return np.load(self._data / "golden.npz")

    def write(self, folder: Path) -> None:
        """The files of its deployment section, the attachment packed by its own command."""
        for path in (self._data / "tf1_checkpoint").glob(f"{NAME}*"):
            (folder / path.name).write_bytes(path.read_bytes())
        (pack,) = [block for block in self._blocks(b"bash") if block.startswith(b"tar ")]
        subprocess.run(pack.decode(), shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (folder / f"{NAME}.py").write_bytes(self.script)
        for name in ("double.avsc", "rest.json"):
            (content,) = re.findall(rb"\*\*%b\*\*\n```json\n(.*?)```" % re.escape(name.encode()), self._text, re.DOTALL)
            (folder / name).write_bytes(content)

    def commands(self) -> list[list[str]]:
        """Those of its deployment section, in its order, each without the name of the command line."""
        section = self._text.index(b"## Deploying the Model")
        prefix = "ModelOp Center "
        lines = [line for block in self._blocks(b"", section) for line in block.decode().splitlines()]
        return [shlex.split(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)]

    def _blocks(self, language: bytes, start: int = 0) -> list[bytes]:
        blocks = re.findall(rb"^```(\w*)\n(.*?)^```$", self._text[start:], re.DOTALL | re.MULTILINE)
        return [content for written_in, content in blocks if written_in == language]
