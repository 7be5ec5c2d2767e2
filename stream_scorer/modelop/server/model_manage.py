"""Model Manage: stores models, attachments, snapshots, schemas, streams and sensors by name (rule `h.model-manage`)."""

from __future__ import annotations

import json

from starlette.responses import Response

from stream_scorer.modelop.server import snapshot_parts
from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.content_types import (
    ATTACHMENT_TYPES,
    MODEL_TYPES,
    SCHEMA,
    attachment_type,
    model_type,
)
from stream_scorer.modelop.server.instance import Instance, Sensors, instance_api
from stream_scorer.modelop.server.names import check_file_name
from stream_scorer.modelop.server.store import Item, SnapshotInfo, Store


class ModelManage(Instance):
    """The instance; what it stores is in `store`."""

    def __init__(self, name: str, store: Store, sensors: Sensors) -> None:
        super().__init__(name, "model-manage", store, sensors)
        self.store = store

    def need_model(self, name: str, status: int = 404) -> Item:
        """Return a model. Raises HttpError with `status` if there is none of that name."""
        stored = self.store.get("model", name)
        if stored is None:
            raise HttpError(status, f"Model {name!r} not found")
        return stored


API = instance_api("model-manage", "Model Manage")
_PUT = {201: "added", 204: "replaced", 400: "a reason"}
_GONE = {204: "removed", 404: "there is none"}


@API.on("GET", "/1/model", "models", {200: "[name], or [{name, type}] with return=type"}, query={"return": "type"})
def models(manage: ModelManage, call: Call) -> Response:
    fields = [name for name in call.query.get("return", "").split(",") if name and name != "name"]
    if not fields:
        return json_answer(manage.store.names("model"))
    if fields != ["type"]:
        raise HttpError(403, f"return={call.query['return']}: models have a type to return, nothing else")
    return json_answer([{"name": name, "type": MODEL_TYPES[kind]} for name, kind in manage.store.types("model")])


@API.on("GET", "/1/model/{model}", "source of a model", {200: "the source, under its own Content-Type", 404: "none"})
def model(manage: ModelManage, call: Call) -> Response:
    stored = manage.need_model(call.path["model"])
    return exact(stored.body, stored.type)


@API.on("PUT", "/1/model/{model}", "add or replace a model", _PUT, body=(*MODEL_TYPES,))
def put_model(manage: ModelManage, call: Call) -> Response:
    kind = check_model_type(call.headers.get("content-type", ""))
    return _put(manage.store.put("model", call.path["model"], kind, call.body))


@API.on("DELETE", "/1/model/{model}", "remove a model, its attachments and snapshots", _GONE)
def remove_model(manage: ModelManage, call: Call) -> Response:
    return _gone(manage.store.remove("model", call.path["model"]), f"Model {call.path['model']!r}")


@API.on("GET", "/1/model/{model}/attachment", "attachments of a model", {200: "[name]", 403: "no such model"})
def attachments(manage: ModelManage, call: Call) -> Response:
    manage.need_model(call.path["model"], 403)
    return json_answer(manage.store.attachments(call.path["model"]))


_ATTACHMENT = "/1/model/{model}/attachment/{attachment}"


@API.on("HEAD", _ATTACHMENT, "type and size of an attachment", {200: "Content-Type, Content-Length", 404: "none"})
def attachment_size(manage: ModelManage, call: Call) -> Response:
    stored = manage.store.attachment_size(call.path["model"], call.path["attachment"])
    if stored is None:
        raise HttpError(404, f"Attachment {call.path['attachment']!r} not found")
    answer = exact(b"", stored[0])
    answer.headers["content-length"] = str(stored[1])
    return answer


@API.on("GET", _ATTACHMENT, "an attachment", {200: "the archive", 404: "none"})
def attachment(manage: ModelManage, call: Call) -> Response:
    stored = manage.store.attachment(call.path["model"], call.path["attachment"])
    if stored is None:
        raise HttpError(404, f"Attachment {call.path['attachment']!r} not found")
    return exact(stored.body, stored.type)


@API.on("PUT", _ATTACHMENT, "add or replace an attachment", {**_PUT, 404: "no such model"}, body=(*ATTACHMENT_TYPES,))
def put_attachment(manage: ModelManage, call: Call) -> Response:
    manage.need_model(call.path["model"])
    name = check_file_name(call.path["attachment"])
    kind = attachment_type(call.headers.get("content-type", ""), name)
    if kind is None:
        raise HttpError(
            400, f"an attachment is {' or '.join(ATTACHMENT_TYPES)}, not {call.headers.get('content-type')}"
        )
    return _put(manage.store.put_attachment(call.path["model"], name, kind, call.body))


@API.on("DELETE", _ATTACHMENT, "remove an attachment", _GONE)
def remove_attachment(manage: ModelManage, call: Call) -> Response:
    gone = manage.store.remove_attachment(call.path["model"], call.path["attachment"])
    return _gone(gone, f"Attachment {call.path['attachment']!r}")


def check_model_type(content_type: str) -> str:
    """Return the Content-Type of MODEL_TYPES that it stands for. Raises HttpError 400."""
    kind = model_type(content_type)
    if kind is None:
        raise HttpError(
            400, f"Content-Type {content_type!r} is not a type of model: for Python it is {[*MODEL_TYPES][1]}"
        )
    return kind


# Schemas, streams and sensors are JSON, stored by name. Whether they are correct is checked when an engine uses them.


def _json_kind(kind: str, title: str, only_objects: bool, *content_types: str) -> None:
    path = f"/1/{kind}/{{{kind}}}"

    @API.on("GET", f"/1/{kind}", f"{kind}s", {200: "[name]"})
    def names(manage: ModelManage, _: Call) -> Response:
        return json_answer(manage.store.names(kind))

    @API.on("GET", path, f"a {kind}", {200: "its JSON", 404: "none"})
    def get(manage: ModelManage, call: Call) -> Response:
        stored = manage.store.get(kind, call.path[kind])
        if stored is None:
            raise HttpError(404, f"{title} {call.path[kind]!r} not found")
        return exact(stored.body, "application/json")

    @API.on("PUT", path, f"add or replace a {kind}", _PUT, body=content_types)
    def put(manage: ModelManage, call: Call) -> Response:
        value = call.json(kind)
        if only_objects and not isinstance(value, dict):
            raise HttpError(400, f"a {kind} descriptor is a JSON object, not {json.dumps(value)[:60]}")
        return _put(manage.store.put(kind, call.path[kind], "application/json", call.body))

    @API.on("DELETE", path, f"remove a {kind}", _GONE)
    def remove(manage: ModelManage, call: Call) -> Response:
        return _gone(manage.store.remove(kind, call.path[kind]), f"{title} {call.path[kind]!r}")


_json_kind("schema", "Schema", False, "application/json", SCHEMA)
_json_kind("stream", "Stream", True, "application/json")
_json_kind("sensor", "Sensor", True, "application/json")

_SNAPSHOT = "/1/model/{model}/snapshot/{id}"
_BY_ID = {300: "the prefix fits several", 404: "none"}


@API.on(
    "GET",
    "/1/model/{model}/snapshot",
    "snapshots of a model, the latest first",
    {200: "[{id, created_on, type, size}]", 403: "no such model"},
    query={"count": "at most so many", "date-range": "A--B, in ISO 8601; either may be missing"},
)
def snapshot_list(manage: ModelManage, call: Call) -> Response:
    manage.need_model(call.path["model"], 403)
    since, until = snapshot_parts.date_range(call.query.get("date-range", ""))
    count = int(call.number("count", 0, refuse=403)) or None
    return json_answer([info._asdict() for info in manage.store.snapshots(call.path["model"], since, until, count)])


@API.on("GET", _SNAPSHOT, "a snapshot", {200: "multipart/mixed: metadata, contents", **_BY_ID})
def snapshot(manage: ModelManage, call: Call) -> Response:
    info = _snapshot_info(manage, call)
    body, content_type = snapshot_parts.as_multipart(info._asdict(), _contents(manage, call, info))
    return exact(body, content_type)


@API.on("GET", _SNAPSHOT + "/metadata", "metadata of a snapshot", {200: "{id, created_on, type, size}", **_BY_ID})
def snapshot_metadata(manage: ModelManage, call: Call) -> Response:
    return json_answer(_snapshot_info(manage, call)._asdict())


@API.on("GET", _SNAPSHOT + "/contents", "the state itself, for PUT /1/job/state", {200: "the blob", **_BY_ID})
def snapshot_contents(manage: ModelManage, call: Call) -> Response:
    return exact(_contents(manage, call, _snapshot_info(manage, call)), "application/octet-stream")


@API.on(
    "PUT",
    _SNAPSHOT,
    "add a snapshot",
    {201: "added", 400: "the id is taken", 404: "no such model"},
    body=("multipart/mixed", "multipart/form-data", "application/octet-stream"),
)
def put_snapshot(manage: ModelManage, call: Call) -> Response:
    manage.need_model(call.path["model"])
    contents = snapshot_parts.contents_of(call.body, call.headers.get("content-type", ""))
    if not manage.store.add_snapshot(call.path["model"], call.path["id"], contents):
        raise HttpError(400, f"Snapshot {call.path['id']!r} already exists")
    return empty(201)


@API.on("DELETE", _SNAPSHOT, "remove a snapshot", {204: "removed", **_BY_ID})
def remove_snapshot(manage: ModelManage, call: Call) -> Response:
    info = _snapshot_info(manage, call)
    return _gone(manage.store.remove_snapshot(call.path["model"], info.id), f"Snapshot {info.id!r}")


def _snapshot_info(manage: ModelManage, call: Call) -> SnapshotInfo:
    """Return the snapshot whose id begins with what the client gave. Raises HttpError: 404 for none, 300 for several."""
    prefix = call.path["id"]
    matching = manage.store.snapshots_like(call.path["model"], prefix)
    if not matching:
        raise HttpError(404, f"Snapshot {prefix!r} not found")
    if len(matching) > 1:
        raise HttpError(300, f"Snapshot {prefix!r} is ambiguous: {', '.join(info.id for info in matching)}")
    return matching[0]


def _contents(manage: ModelManage, call: Call, info: SnapshotInfo) -> bytes:
    body = manage.store.snapshot(call.path["model"], info.id)
    if body is None:
        raise HttpError(404, f"Snapshot {info.id!r} not found")
    return body


def _put(new: bool) -> Response:
    return empty(201 if new else 204)


def _gone(existed: bool, name: str) -> Response:
    if not existed:
        raise HttpError(404, f"{name} not found")
    return empty()
