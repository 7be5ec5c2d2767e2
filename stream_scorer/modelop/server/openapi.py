"""The API document, and a page to read it on: both made from the table of operations."""

from __future__ import annotations

import html
import re
from typing import Any

from stream_scorer.modelop.server.api import Api, Operation
from stream_scorer.version import __version__

_NUMBERS = {"slot", "in", "out"}


def document(apis: dict[str, Api[Any]]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of several APIs, each under its prefix."""
    paths: dict[str, Any] = {}
    for prefix, api in apis.items():
        for operation in api.operations:
            place = paths.setdefault(prefix + operation.path, {})
            place[operation.method.lower()] = _operation(api, prefix, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stream-scorer engine: " + ", ".join(dict.fromkeys(api.title for api in apis.values())),
            "version": __version__,
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _operation(api: Api[Any], prefix: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tags": [api.title],
        "summary": operation.summary,
        "responses": {str(status): {"description": text} for status, text in operation.answers.items()},
        "security": [{"token": []}, {}],
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name in _NUMBERS else "string"}}
        for name in re.findall(r"{(\w+)}", prefix + operation.path)
    ] + [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {"required": True, "content": {kind: {} for kind in operation.body}}
    return described


def page(contents: dict[str, Any]) -> str:
    """Return the document as HTML that needs no other file: an engine may run without access to the Internet."""
    rows = []
    tag = ""
    for path, methods in contents["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                rows.append(f'<tr><th colspan="4">{html.escape(tag)}</th></tr>')
            query = "".join(
                f"<br><small>?{html.escape(parameter['name'])}= {html.escape(parameter['description'])}</small>"
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "query"
            )
            answers = "<br>".join(
                f"<b>{status}</b> {html.escape(answer['description'])}"
                for status, answer in operation["responses"].items()
            )
            rows.append(
                f"<tr><td>{method.upper()}</td><td><code>{html.escape(path)}</code>{query}</td>"
                f"<td>{html.escape(operation['summary'])}</td><td>{answers}</td></tr>"
            )
    title = html.escape(f"{contents['info']['title']} {contents['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:15px/1.4 system-ui,sans-serif;margin:2rem;max-width:80rem}table{border-collapse:collapse}"
        "td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
        "th{padding-top:1.5rem;font-size:1.1rem}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
        f'</style><h1>{title}</h1><p>As a document: <a href="openapi.json">openapi.json</a>.</p>'
        f"<table>{''.join(rows)}</table></html>"
    )
