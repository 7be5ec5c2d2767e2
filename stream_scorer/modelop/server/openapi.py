"""The API document, and a page to read it on: both made from the table of operations."""

from __future__ import annotations

import html
import re
from typing import Any

from stream_scorer.modelop.server import schemas
from stream_scorer.modelop.server.api import Api, Operation
from stream_scorer.version import __version__

_SLOTS = {"slot", "in", "out"}
_COMMON = {
    400: "a reason",
    401: "the token is missing or wrong",
    403: "a web page of another origin, or another machine",
    408: "the body comes too slowly",
    413: "the body is larger than --max-body",
    503: "bodies of other requests fill the memory that is set aside for them",
}
"""What any operation may answer, where it does not say itself what the status means. A text says more."""


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
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(schemas.COMPONENTS),
        },
        "paths": paths,
    }


def _operation(api: Api[Any], prefix: str, operation: Operation) -> dict[str, Any]:
    name = f"{operation.method} {operation.path}"
    described: dict[str, Any] = {
        "operationId": _operation_id(prefix, operation),
        "tags": [api.title],
        "summary": operation.summary,
        "responses": _responses(name, operation),
        "security": [{"token": []}, {}],
    }
    if parameters := _parameters(name, prefix, operation):
        described["parameters"] = parameters
    if operation.body:
        body = schemas.BODIES.get(name)
        described["requestBody"] = {
            "required": name not in schemas.NO_BODY_NEEDED,
            "content": {kind: {"schema": body} if body else {} for kind in operation.body},
        }
    return described


def _operation_id(prefix: str, operation: Operation) -> str:
    """Method and path as one word, behind the name of the instance: engine-1.put_1_job_stream_in."""
    path = re.sub(r"\W+", "_", operation.path.replace("-", "")).strip("_")
    instance = prefix.rpartition("/")[2]
    return f"{instance + '.' if instance else ''}{operation.method.lower()}_{path}"


def _responses(name: str, operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    common = _COMMON | ({404: "there is none of this name"} if "{" in operation.path else {})
    for status, meaning in sorted((common | dict(operation.answers)).items()):
        response: dict[str, Any] = {"description": meaning}
        if status == 200:
            response["content"] = {
                kind: {"schema": schema} if schema else {} for kind, schema in schemas.ANSWERS[name].items()
            }
        elif status >= 300:
            response["content"] = {schemas.TEXT: {"schema": schemas.STRING}}
        responses[str(status)] = response
    return responses


def _parameters(name: str, prefix: str, operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": each, "in": "path", "required": True, "schema": schemas.SLOT if each in _SLOTS else schemas.NAME}
        for each in re.findall(r"{(\w+)}", prefix + operation.path)
    ]
    in_query = [
        {"name": each, "in": "query", "description": meaning, "schema": schemas.QUERY.get(each, schemas.STRING)}
        for each, meaning in operation.query.items()
    ]
    named = 'a name for it, as in x-model; name="NAME"'
    in_header = {"name": "Content-Disposition", "in": "header", "description": named, "schema": schemas.STRING}
    return in_path + in_query + ([in_header] if name in schemas.NAMED else [])


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
