"""A bundle: a directory with a model, its files and a hash of each, which any ModelOp engine can load.

The module's bytes are copied unchanged. No time and nothing of the machine gets into a bundle: two exports are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model.archive import archive_bytes, read_archive
from stream_scorer.model.locate import Located
from stream_scorer.model.manifest import (
    FORMAT,
    MANIFEST,
    SIGNATURE,
    files_not_listed,
    is_plain_name,
    read_manifest,
    shown,
)
from stream_scorer.model.reference import REFERENCE, parse_reference, read_reference, thinned
from stream_scorer.model.requirements import requirements
from stream_scorer.model.signature import signer
from stream_scorer.model.trust import ATTACHMENT, attached

_DOCKERFILE = """\
ARG ENGINE_IMAGE=modelop/engine:latest
FROM ${ENGINE_IMAGE}
ADD ./requirements.txt .
RUN pip3 install --isolated -r requirements.txt
"""


@dataclass(frozen=True)
class Exported:
    """manifest: as it was written. others: a line for each other thing in the folder, with which the bundle is refused."""

    manifest: dict[str, Any]
    others: list[str]


def export(
    model: Located,
    weights: Path | None,
    out: Path,
    schemas: Mapping[str, str],
    topics: Mapping[int, str],
    key: Path | None = None,
) -> Exported:
    """Write the bundle of a model into the directory `out`. Files of an earlier bundle that are in it are removed.

    Args:
        weights: directory whose files named after the module are attached; None: the attachment beside the module, if any.
        schemas: JSON text of each schema that the module names.
        topics: topic of the Kafka stream descriptor of each slot.
        key: file of the private key that signs the bundle; None: it is not signed.
    Raises:
        ModelError: the weights, or a package that the module imports, are missing; a name cannot be that of a file.
        SettingsError: `reference.json` of the training is not a list of numbers, or there is no key in its file.
    """
    module, program = model.module, model.program
    annotations = program.annotations
    sign = None if key is None else signer(key)  # first: with a wrong key nothing is written
    packed = _attached(model, weights)
    files: dict[str, bytes] = {
        module.name: program.data,
        "requirements.txt": requirements(program.source, module, annotations.compat, packed).encode(),
        "Dockerfile": _DOCKERFILE.encode(),
        "rest.json": _json({"Transport": "REST", "Encoding": "json"}),
        **{f"{name}.avsc": text.encode() for name, text in schemas.items()},
    }
    for slot, topic in topics.items():
        name = "kafka-in.json" if slot % 2 == 0 else "kafka-out.json"
        files[name] = _json(_kafka_stream(topic, annotations.schemas.get(slot)))
    if sample := _sample(model, weights):
        files[REFERENCE] = _json(thinned(sample))
    for name in files:
        if not is_plain_name(name):
            raise ModelError(
                f"{module}: a bundle cannot have a file named {shown(name)}. Give the schema or module another name."
            )
    if packed:
        files[ATTACHMENT] = archive_bytes(packed)
    manifest = _manifest(module.name, files)
    data = _json(manifest)
    _write(out, {**files, MANIFEST: data} | ({} if sign is None else {SIGNATURE: sign(data)}))
    return Exported(manifest, files_not_listed(out, files))


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle. Its manifest is the last file but for the signature: what is left of a write that fails is refused."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        before = {*read_manifest(out).files, SIGNATURE}
    except ModelError:
        before = {SIGNATURE}
    for name in before - files.keys():
        (out / name).unlink(missing_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)


def _sample(model: Located, weights: Path | None) -> list[float] | None:
    """A sample of the inputs in training, if it left one: the service compares the inputs of the topic with it."""
    if weights is not None:
        return read_reference(weights / REFERENCE) if (weights / REFERENCE).is_file() else None
    data = model.beside(REFERENCE)
    return None if data is None else parse_reference(data, model.module.parent / REFERENCE)


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


def _attached(model: Located, weights: Path | None) -> dict[str, bytes]:
    module = model.module
    if weights is None:
        with attached(model.attachment, model.sha256) as copy:
            return read_archive(copy.path) if copy else {}
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
