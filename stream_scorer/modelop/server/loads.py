"""Reads a request to load a model: bare source, or multipart with attachments and schemas (rule `h.load`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.server import multipart
from stream_scorer.modelop.server.answers import HttpError
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.content_types import MODEL_TYPES, RUN_HERE, SCHEMA, attachment_type, model_type
from stream_scorer.modelop.server.model_manage import check_model_type
from stream_scorer.modelop.server.names import check_file_name, check_name
from stream_scorer.parsing import strict_json

# One of the vendor's clients closes the quotes early: ref="urn:fastscore:attachment:m":x.zip
_REFERENCE = re.compile(r'urn:fastscore:attachment:([^:";]+)"?:"?([^";\r\n]+)')
Fetch = Callable[[str, str], bytes]
"""Takes the names of a model and an attachment, and returns its content. May block."""


def read_package(call: Call, fetch: Fetch) -> ModelPackage:
    """Return the model of a request. `fetch` gets attachments that come by reference.

    Raises HttpError 400, and what `fetch` raises.
    """
    content_type = call.headers.get("content-type", "")
    if not multipart.value_of(content_type).startswith("multipart/"):
        parameters = multipart.parameters(call.headers.get("content-disposition", ""))
        return ModelPackage(_model_name(parameters), _runnable(content_type), call.body, (), {})
    attachments: list[tuple[str, bytes | Path]] = []
    schemas: dict[str, Any] = {}
    model: tuple[str, str, bytes] | None = None
    for part in multipart.parse(call.body, content_type):
        kind = multipart.value_of(part.headers.get("content-disposition", ""))
        parameters = multipart.parameters(part.headers.get("content-disposition", ""))
        part_type = part.headers.get("content-type", "")
        if kind == "x-model" or (not kind and model_type(part_type)):
            model = _model_name(parameters), _runnable(part_type), part.body
        elif kind == "x-schema" or multipart.value_of(part_type) == SCHEMA:
            name = check_name(parameters.get("name", ""), "schema name")
            schemas[name] = strict_json.load(part.body, f"embedded schema {name!r}")
        elif kind == "attachment":
            attachments.append(_attachment(part, parameters.get("filename") or parameters.get("name") or "", fetch))
        else:
            raise HttpError(400, f"a part with Content-Disposition {kind!r}: there are attachment, x-schema, x-model")
    if model is None:
        raise HttpError(400, 'the load has no model: a part with Content-Disposition: x-model; name="..."')
    return ModelPackage(*model, tuple(attachments), schemas)


def _runnable(content_type: str) -> str:
    name = MODEL_TYPES[check_model_type(content_type)]
    if name not in RUN_HERE:
        raise HttpError(400, f"models of type {name} do not run here: this engine runs Python models")
    return name


def _model_name(parameters: Mapping[str, str]) -> str:
    return check_name(parameters.get("name") or "model", "model name")


def _attachment(part: multipart.Part, name: str, fetch: Fetch) -> tuple[str, bytes]:
    content_type = part.headers.get("content-type", "")
    if multipart.value_of(content_type) != "message/external-body":
        if attachment_type(content_type, name) is None:
            raise HttpError(400, f"attachment {name!r} is neither application/zip nor application/gzip")
        return check_file_name(name), part.body
    reference = _REFERENCE.search(content_type)
    if reference is None:
        raise HttpError(400, f'attachment {name!r}: no ref="urn:fastscore:attachment:MODEL:NAME" in {content_type!r}')
    model, referred = reference[1], reference[2].strip()
    return check_file_name(name or referred), fetch(model, referred)
