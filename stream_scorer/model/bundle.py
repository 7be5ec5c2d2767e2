"""A bundle: a model in a directory, as any ModelOp engine takes it, with a hash of every file.

The module's bytes are never changed, and nothing of the time or machine of the export gets in:
exporting twice gives the same bytes.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model.annotations import parse
from stream_scorer.model.archive import read_archive, write_archive

MANIFEST = "manifest.json"
ATTACHMENT = "attachment.tar.gz"
FORMAT = 1
_DOCKERFILE = """\
ARG ENGINE_IMAGE=modelop/engine:latest
FROM ${ENGINE_IMAGE}
ADD ./requirements.txt .
RUN pip3 install --isolated -r requirements.txt
"""


def is_bundle(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def export(
    module: Path, weights: Path | None, out: Path, schemas: Mapping[str, str], topics: Mapping[int, str]
) -> dict[str, Any]:
    """Write the bundle of a module and return its manifest.

    Args:
        weights: directory whose files named after the module go into the attachment; None: the
            attachment beside the module, if there is one.
        schemas: JSON text of each schema the module names.
        topics: of the Kafka stream descriptors, by slot.
    Raises:
        ModelError: the weights are not there, a third-party import of the module is not installed.
    """
    code = module.read_bytes()
    annotations = parse(importlib.util.decode_source(code), str(module))
    files: dict[str, bytes] = {
        module.name: code,
        "requirements.txt": _requirements(code, module).encode(),
        "Dockerfile": _DOCKERFILE.encode(),
        "rest.json": _json({"Transport": "REST", "Encoding": "json"}),
        **{f"{name}.avsc": text.encode() for name, text in schemas.items()},
    }
    for slot, topic in topics.items():
        name = "kafka-in.json" if slot % 2 == 0 else "kafka-out.json"
        files[name] = _json(_kafka_stream(topic, annotations.schemas.get(slot)))
    out.mkdir(parents=True, exist_ok=True)
    attached = _attached(module, weights)
    if attached:
        write_archive(out / ATTACHMENT, attached)
        files[ATTACHMENT] = (out / ATTACHMENT).read_bytes()
    for name, data in files.items():
        (out / name).write_bytes(data)
    manifest = {
        "format": FORMAT,
        "module": module.name,
        "sha256": hashlib.sha256(code).hexdigest(),
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in sorted(files.items())
        },
    }
    (out / MANIFEST).write_bytes(_json(manifest))
    return manifest


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Raises ModelError when there is none, or it is none of ours."""
    path = bundle / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a manifest: {error}. Export the bundle again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not {"module", "files"} <= manifest.keys():
        raise ModelError(f"{path}: not a manifest of format {FORMAT}. Export the bundle again.")
    return manifest


def module_of(bundle: Path) -> str:
    return str(read_manifest(bundle)["module"])


def check_manifest(bundle: Path) -> list[str]:
    """What is not as the manifest says: a text per file."""
    manifest = read_manifest(bundle)
    problems = []
    for name, told in manifest["files"].items():
        path = bundle / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) != told["sha256"]:
            problems.append(f"{name} has sha256 {found[:12]}..., not {told['sha256'][:12]}...")
    listed = {MANIFEST, *manifest["files"]}
    problems += [f"{path.name} is not listed" for path in sorted(bundle.iterdir()) if path.name not in listed]
    if manifest["files"].get(manifest["module"], {}).get("sha256") != manifest.get("sha256"):
        problems.append("the module's own sha256 is not that of its file")
    return problems


def _attached(module: Path, weights: Path | None) -> dict[str, bytes]:
    beside = module.parent / ATTACHMENT
    if weights is None:
        return read_archive(beside) if beside.is_file() else {}
    if not weights.is_dir():
        raise ModelError(f"--weights {weights}: no such directory. Give the one `stream-scorer train --out` wrote.")
    found = {
        path.name: path.read_bytes()
        for path in weights.iterdir()
        if path.is_file() and path.stem.split(".")[0] == module.stem
    }
    if not found:
        raise ModelError(
            f"--weights {weights}: no files named {module.stem}.* there. Train first, or correct the directory."
        )
    return found


def _kafka_stream(topic: str, schema: str | None) -> dict[str, Any]:
    stream: dict[str, Any] = {
        "Transport": {"Type": "kafka", "BootstrapServers": ["localhost:9092"], "Topic": topic},
        "Encoding": "avro-binary" if schema else "json",
    }
    if schema:
        stream["Schema"] = {"$ref": schema}
    return stream


def _requirements(code: bytes, module: Path) -> str:
    """A pinned line for each third-party package the module imports, in the versions in use here."""
    packages = importlib.metadata.packages_distributions()
    lines = []
    for name in sorted(_imports(code) - set(sys.stdlib_module_names) - {"fastscore"}):
        if name not in packages:
            raise ModelError(
                f"{module}: imports {name}, which is not installed here, so its version is not known. Install it."
            )
        distribution = packages[name][0]
        lines.append(f"{distribution}=={importlib.metadata.version(distribution)}")
    return "\n".join(lines) + "\n" if lines else ""


def _imports(code: bytes) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
