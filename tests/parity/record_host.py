"""A host for modules that take records: begin, action and end, the attachment on the path, and nothing of this project."""

import importlib.util
import json
import os
import sys
import tarfile
import tempfile


def main(module, archive, inputs, outputs):
    """Score JSON lines from one file into another."""
    module, archive, inputs, outputs = map(os.path.abspath, (module, archive, inputs, outputs))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
        spec = importlib.util.spec_from_file_location("model", module)
        model = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(model)
        model.begin()
        with open(inputs) as source, open(outputs, "w") as sink:
            for line in source:
                for score in model.action(json.loads(line)):
                    sink.write(json.dumps(score) + "\n")
        model.end()
        os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
