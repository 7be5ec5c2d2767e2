"""Where an engine gets schemas and attachments and stores snapshots: our Model Manage, or that of another fleet."""

from __future__ import annotations

import json
import logging
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES
from stream_scorer.errors import ModelError, SettingsError, StreamScorerError, Unavailable
from stream_scorer.modelop.client.fleet_client import MODEL_MANAGE, PREFIX, Service, quoted
from stream_scorer.modelop.client.http import Refused, Server
from stream_scorer.modelop.server.snapshot_parts import as_multipart, new_id
from stream_scorer.modelop.server.store import SNAPSHOT_TYPE, Store

log = logging.getLogger(__name__)
_TIMEOUT_S = 10.0


class Library:
    """Looks into what was baked in, our store, and the Model Manage behind CONNECT_PREFIX (rule `i.variables`).

    In this order. Safe from any thread. Blocks while it asks the other Model Manage, for 10 s at most.
    """

    def __init__(self, store: Store | None, remote: RemoteModelManage | None, baked: Mapping[str, Any]) -> None:
        self._store = store
        self._remote = remote
        self._baked = baked

    def schema(self, name: str) -> Any:
        """Return a schema as parsed Avro JSON, or the name of a primitive type (rule `e.lookup`). Raises ModelError."""
        if name in self._baked:
            return self._baked[name]
        stored = self._store.get("schema", name) if self._store else None
        if stored is not None:
            return _unwrapped(json.loads(stored.body))
        text, reason = self._ask_remote(lambda remote: remote.schema(name))
        if text is not None:
            return _unwrapped(json.loads(text))
        if name in PRIMITIVES:
            return name
        raise ModelError(
            f"schema {name!r} is in no Model Manage{reason}. Add it (`stream-scorer schema add {name} FILE`), "
            "send it with the model, or name it in SCHEMAS."
        )

    def attachment(self, model: str, name: str) -> bytes:
        """Return the content of an attachment. Raises ModelError."""
        stored = self._store.attachment(model, name) if self._store else None
        if stored is not None:
            return stored.body
        body, reason = self._ask_remote(lambda remote: remote.attachment(model, name))
        if body is not None:
            return body
        if self._remote is None and self._store is None:
            reason = ". This engine runs apart from Model Manage: set CONNECT_PREFIX, or send attachments inline"
        raise ModelError(f"attachment {name!r} of model {model!r} is in no Model Manage{reason}.")

    def _ask_remote(self, get: Callable[[RemoteModelManage], bytes | None]) -> tuple[bytes | None, str]:
        """Return what the other Model Manage has, None if nothing, and why it could not be asked."""
        if self._remote is None:
            return None, ""
        try:
            return get(self._remote), ""
        except StreamScorerError as error:
            return None, f"; {error}"

    def save_snapshot(self, model: str, blob: bytes) -> None:
        """Store a snapshot. If that fails, log it: the run itself was successful. Raises nothing."""
        try:
            if self._store is not None:
                self._store.add_snapshot(model, new_id(), blob)
            elif self._remote is not None:
                self._remote.save_snapshot(model, blob)
            else:
                log.warning("snapshot of %s not stored: there is no Model Manage", model)
        except StreamScorerError as error:
            log.warning("snapshot of %s not stored: %s", model, error)


class RemoteModelManage:
    """The Model Manage of another fleet, found through its Connect. Safe from any thread; each call blocks.

    Args:
        url: address of Connect itself, or of the fleet's proxy.
        how: further arguments of `client.http.Server`.
    """

    def __init__(self, url: str, **how: Any) -> None:
        """Raises SettingsError. Opens no socket."""
        parts = urllib.parse.urlsplit(url)
        self._how = how
        self._server = Server(f"{parts.scheme}://{parts.netloc}", **how)
        self._lock = threading.Lock()
        self._service: Service | None = None

    def schema(self, name: str) -> bytes | None:
        return self._get(f"/1/schema/{quoted(name)}")

    def attachment(self, model: str, name: str) -> bytes | None:
        return self._get(f"/1/model/{quoted(model)}/attachment/{quoted(name)}")

    def save_snapshot(self, model: str, blob: bytes) -> None:
        id_ = new_id()
        body, content_type = as_multipart({"id": id_, "type": SNAPSHOT_TYPE, "size": len(blob)}, blob)
        path = f"/1/model/{quoted(model)}/snapshot/{id_}"
        with self._lock:
            self._model_manage().call("PUT", path, body, subject="snapshot", headers={"Content-Type": content_type})

    def _get(self, path: str) -> bytes | None:
        """Return a body, None if the server does not have it. Raises Refused and Unavailable."""
        with self._lock:
            answer = self._model_manage().ask("GET", path, timeout_s=_TIMEOUT_S)
        if answer.status == 200:
            return answer.body
        if answer.status == 404:
            return None
        raise Refused(answer.status, f"{self._server.url}{path} answered {answer.status}: {answer.text[:200]}")

    def _model_manage(self) -> Service:
        """Return Model Manage, at the host and port that Connect lists or, behind a proxy, at the proxy's address."""
        if self._service is not None:
            return self._service
        for prefix in ("", f"{PREFIX}/connect"):
            answer = self._server.request(
                "GET", f"{prefix}/1/connect", query={"api": MODEL_MANAGE}, timeout_s=_TIMEOUT_S
            )
            if answer.status == 200:
                self._service = self._service_of(answer.json(), behind_proxy=bool(prefix))
                return self._service
        raise Unavailable(f"{self._server.url} is not a Connect: it answered {answer.status} to GET /1/connect")

    def _service_of(self, entries: list[dict[str, Any]], *, behind_proxy: bool) -> Service:
        if not entries:
            raise SettingsError(f"{self._server.url} knows no Model Manage")
        entry = next((entry for entry in entries if entry.get("health") == "ok"), entries[0])
        if behind_proxy:
            return Service(self._server, entry["name"], f"{PREFIX}/{quoted(entry['name'])}")
        scheme = urllib.parse.urlsplit(self._server.url).scheme
        return Service(Server(f"{scheme}://{entry['host']}:{entry['port']}", **self._how), entry["name"], "")


def _unwrapped(schema: Any) -> Any:
    """Return the schema. If it was stored as a string of JSON, as the vendor's inference does, parse the string."""
    if isinstance(schema, str) and schema.lstrip().startswith(("{", "[", '"')):
        try:
            return json.loads(schema)
        except (ValueError, RecursionError):
            return schema
    return schema
