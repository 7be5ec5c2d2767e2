"""A bundle: a directory with a model, its files and a hash of each, which any ModelOp engine can load.

The module's bytes are copied unchanged. No time and nothing of the machine gets into a bundle: two exports are equal bytes.
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
    """Write the bundle of a module into the directory `out`, and return its manifest.

    Args:
        weights: directory whose files named after the module are attached; None: the attachment beside the module, if any.
        schemas: JSON text of each schema that the module names.
        topics: topic of the Kafka stream descriptor of each slot.
    Raises:
        ModelError: the weights, or a package that the module imports, are missing.
        SettingsError: `reference.json` of the training is not a list of numbers.
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
    # If the training left a sample of its inputs, the service compares the inputs of the topic with it.
    sample = (weights or module.parent) / REFERENCE
    if sample.is_file():
        files[REFERENCE] = _json(thinned(read_reference(sample)))
    out.mkdir(parents=True, exist_ok=True)
    if attached:
        write_archive(out / ATTACHMENT, attached)
        files[ATTACHMENT] = (out / ATTACHMENT).read_bytes()
    for name, data in files.items():
        (out / name).write_bytes(data)
    manifest = _manifest(module.name, files)
    (out / MANIFEST).write_bytes(_json(manifest))
    return manifest


def _manifest(module: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "module": module,
        "sha256": hashlib.sha256(files[module]).hexdigest(),
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in sorted(files.items())
        },
    }


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle. Raises ModelError: there is none, or it has another format."""
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
    """One line for each file that differs from the manifest; [] if none does. Raises ModelError as `read_manifest`."""
    manifest = read_manifest(bundle)
    problems = []
    for name, listed in manifest["files"].items():
        path = bundle / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif (sha256 := hashlib.sha256(path.read_bytes()).hexdigest()) != listed["sha256"]:
            problems.append(f"{name} has sha256 {sha256[:12]}..., not {listed['sha256'][:12]}...")
    known = {MANIFEST, *manifest["files"]}
    problems += [f"{path.name} is not listed" for path in sorted(bundle.iterdir()) if path.name not in known]
    if manifest["files"].get(manifest["module"], {}).get("sha256") != manifest.get("sha256"):
        problems.append("the sha256 of the module differs from that of its file")
    return problems


def attachment_beside(module: Path) -> Path | None:
    """The attachment of a module: MODULE.tar.gz, which a folder with several modules needs, else attachment.tar.gz."""
    places = (module.with_suffix(".tar.gz"), module.parent / ATTACHMENT)
    return next((place for place in places if place.is_file()), None)


def _attached(module: Path, weights: Path | None) -> dict[str, bytes]:
    if weights is None:
        beside = attachment_beside(module)
        return read_archive(beside) if beside else {}
    ready = weights / f"{module.stem}.tar.gz"
    if ready.is_file():  # an attachment that the training has made: it may hold files of other names
        return read_archive(ready)
    if not weights.is_dir():
        raise ModelError(f"--weights {weights}: no such directory. Give the one `stream-scorer train --out` wrote.")
    files = {
        path.name: path.read_bytes()
        for path in weights.iterdir()
        if path.is_file() and path.stem.split(".")[0] == module.stem
    }
    if not files:
        raise ModelError(
            f"--weights {weights}: no files named {module.stem}.* there. Train first, or correct the directory."
        )
    return files


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
