"""A bundle: a model in a directory, as any ModelOp engine takes it, with a hash of every file.

The module's bytes are never changed, and nothing of the time or machine of the export gets in:
exporting twice gives the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model.annotations import parse
from stream_scorer.model.archive import read_archive, write_archive
from stream_scorer.model.reference import REFERENCE, read_reference, thinned
from stream_scorer.model.requirements import requirements

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
        SettingsError: the reference sample that the training left is none.
    """
    code = module.read_bytes()
    source = importlib.util.decode_source(code)
    annotations = parse(source, str(module))
    attached = _attached(module, weights)
    files: dict[str, bytes] = {
        module.name: code,
        "requirements.txt": requirements(source, module, annotations.compat, attached).encode(),
        "Dockerfile": _DOCKERFILE.encode(),
        "rest.json": _json({"Transport": "REST", "Encoding": "json"}),
        **{f"{name}.avsc": text.encode() for name, text in schemas.items()},
    }
    for slot, topic in topics.items():
        name = "kafka-in.json" if slot % 2 == 0 else "kafka-out.json"
        files[name] = _json(_kafka_stream(topic, annotations.schemas.get(slot)))
    # What the model saw in training, where that is known: the service compares its inputs with it.
    seen = (weights or module.parent) / REFERENCE
    if seen.is_file():
        files[REFERENCE] = _json(thinned(read_reference(seen)))
    out.mkdir(parents=True, exist_ok=True)
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


def attachment_beside(module: Path) -> Path | None:
    """The archive of a module's files: MODULE.tar.gz, for folders with several modules, else attachment.tar.gz."""
    places = (module.with_suffix(".tar.gz"), module.parent / ATTACHMENT)
    return next((place for place in places if place.is_file()), None)


def _attached(module: Path, weights: Path | None) -> dict[str, bytes]:
    if weights is None:
        beside = attachment_beside(module)
        return read_archive(beside) if beside else {}
    whole = weights / f"{module.stem}.tar.gz"
    if whole.is_file():  # the training has made an attachment: more may be in it than files of the module's name
        return read_archive(whole)
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


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
