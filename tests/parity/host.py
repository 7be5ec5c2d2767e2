"""A host that knows a ModelOp module's begin, action and end, and nothing of this project."""

import importlib.util
import json
import os
import struct
import sys
import tarfile
import tempfile


def main(bundle, inputs, outputs):
    """Score doubles (8 bytes little-endian each) from one file into another with the module of a bundle."""
    with open(os.path.join(bundle, "manifest.json")) as file:
        path = os.path.abspath(os.path.join(bundle, json.load(file)["module"]))
    archive = os.path.abspath(os.path.join(bundle, "attachment.tar.gz"))
    inputs, outputs = os.path.abspath(inputs), os.path.abspath(outputs)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
        spec = importlib.util.spec_from_file_location("model", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.begin()
        with open(inputs, "rb") as source, open(outputs, "wb") as sink:
            for (value,) in struct.iter_unpack("<d", source.read()):
                for score in module.action(value):
                    sink.write(struct.pack("<d", score))
        module.end()
        os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
