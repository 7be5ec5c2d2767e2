"""Where an engine finds schemas and attachments, and leaves snapshots: in our Model Manage, or in another."""

from __future__ import annotations

import json
import logging
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES
from stream_scorer.errors import ModelError, SettingsError, StreamScorerError, Unavailable
from stream_scorer.modelop.client.fleet import MODEL_MANAGE, PREFIX, Service, quoted
from stream_scorer.modelop.client.http import Refused, Server
from stream_scorer.modelop.server.snapshots import as_multipart, new_id
from stream_scorer.modelop.server.store import SNAPSHOT_TYPE, Store

log = logging.getLogger(__name__)
_TIMEOUT_S = 10.0


class Library:
    """Asked in this order: what was baked in, our store, the Model Manage that CONNECT_PREFIX leads to [i]."""

    def __init__(self, store: Store | None, remote: RemoteModelManage | None, baked: Mapping[str, Any]) -> None:
        self._store = store
        self._remote = remote
        self._baked = baked

    def schema(self, name: str) -> Any:
        """Parsed Avro JSON. A name that nobody knows may be that of a primitive [e]. Raises ModelError."""
        if name in self._baked:
            return self._baked[name]
        found = self._store.get("schema", name) if self._store else None
        if found is not None:
            return _unwrapped(json.loads(found.body))
        text, why = self._asked(lambda remote: remote.schema(name))
        if text is not None:
            return _unwrapped(json.loads(text))
        if name in PRIMITIVES:
            return name
        raise ModelError(
            f"schema {name!r} is in no Model Manage{why}. Add it (`stream-scorer schema add {name} FILE`), "
            "send it with the model, or name it in SCHEMAS."
        )

    def attachment(self, model: str, name: str) -> bytes:
        """Raises ModelError."""
        found = self._store.attachment(model, name) if self._store else None
        if found is not None:
            return found.body
        body, why = self._asked(lambda remote: remote.attachment(model, name))
        if body is not None:
            return body
        if self._remote is None and self._store is None:
            why = ". This engine runs apart from Model Manage: set CONNECT_PREFIX, or send attachments inline"
        raise ModelError(f"attachment {name!r} of model {model!r} is in no Model Manage{why}.")

    def _asked(self, get: Callable[[RemoteModelManage], bytes | None]) -> tuple[bytes | None, str]:
        """What the other Model Manage has, and why it could not be asked."""
        if self._remote is None:
            return None, ""
        try:
            return get(self._remote), ""
        except StreamScorerError as error:
            return None, f"; {error}"

    def save_snapshot(self, model: str, blob: bytes) -> None:
        """Where nothing can take it, the log tells of it: the run itself went well."""
        try:
            if self._store is not None:
                self._store.add_snapshot(model, new_id(), blob)
            elif self._remote is not None:
                self._remote.save_snapshot(model, blob)
            else:
                log.warning("snapshot of %s not kept: there is no Model Manage", model)
        except StreamScorerError as error:
            log.warning("snapshot of %s not kept: %s", model, error)


class RemoteModelManage:
    """The Model Manage of another fleet, found through its Connect. Safe from any thread.

    Args:
        url: Connect's own address, or the fleet's proxy.
    """

    def __init__(self, url: str, **how: Any) -> None:
        """`how` as client.http.Server has it. Raises SettingsError. Opens no socket."""
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
            self._found().call("PUT", path, body, what="snapshot", headers={"Content-Type": content_type})

    def _get(self, path: str) -> bytes | None:
        """None when it is not there. Raises Refused and Unavailable."""
        with self._lock:
            answer = self._found().ask("GET", path, timeout_s=_TIMEOUT_S)
        if answer.status == 200:
            return answer.body
        if answer.status == 404:
            return None
        raise Refused(answer.status, f"{self._server.url}{path} answered {answer.status}: {answer.text[:200]}")

    def _found(self) -> Service:
        """Model Manage at its own host and port, as Connect tells them; else behind the same address."""
        if self._service is not None:
            return self._service
        for prefix in ("", f"{PREFIX}/connect"):
            answer = self._server.request(
                "GET", f"{prefix}/1/connect", query={"api": MODEL_MANAGE}, timeout_s=_TIMEOUT_S
            )
            if answer.status == 200:
                self._service = self._reached(answer.json(), behind_proxy=bool(prefix))
                return self._service
        raise Unavailable(f"{self._server.url} is no Connect: it answered {answer.status} to GET /1/connect")

    def _reached(self, entries: list[dict[str, Any]], *, behind_proxy: bool) -> Service:
        if not entries:
            raise SettingsError(f"{self._server.url} knows no Model Manage")
        entry = next((entry for entry in entries if entry.get("health") == "ok"), entries[0])
        if behind_proxy:
            return Service(self._server, entry["name"], f"{PREFIX}/{quoted(entry['name'])}")
        scheme = urllib.parse.urlsplit(self._server.url).scheme
        return Service(Server(f"{scheme}://{entry['host']}:{entry['port']}", **self._how), entry["name"], "")


def _unwrapped(schema: Any) -> Any:
    """A schema that was stored as text of JSON, as the vendor's inference does, is what the text says."""
    if isinstance(schema, str) and schema.lstrip().startswith(("{", "[", '"')):
        try:
            return json.loads(schema)
        except (ValueError, RecursionError):
            return schema
    return schema
