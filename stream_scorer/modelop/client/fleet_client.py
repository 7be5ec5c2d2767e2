"""Finds the instances behind one server as the vendor's client does, by asking Connect, and calls them."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.http import Answer, Refused, Server

PREFIX = "/api/1/service"
ENGINE, MODEL_MANAGE, CONNECT = "engine", "model-manage", "connect"


def quoted(name: str) -> str:
    """Return a name as part of a path."""
    return urllib.parse.quote(name, safe="")


class Service:
    """One instance. Paths are those of its API, such as `/2/engine/state`. Every call blocks until the answer."""

    def __init__(self, server: Server, name: str, prefix: str) -> None:
        self.name = name
        self._server = server
        self._prefix = prefix

    def ask(self, method: str, path: str, body: bytes | None = None, **how: Any) -> Answer:
        """Send a request and return its answer, whatever the status. Raises Unavailable."""
        return self._server.request(method, self._prefix + path, body, **how)

    def call(self, method: str, path: str, body: bytes | None = None, *, subject: str, **how: Any) -> Answer:
        """Send a request and return its answer. `subject` begins the text of an error.

        Raises Refused, with the text of the server, if the status is not 2xx, and Unavailable.
        """
        answer = self.ask(method, path, body, **how)
        if answer.status // 100 != 2:
            reason = " ".join(answer.text.split()) or "no reason given"
            hint = " Give --token FILE." if answer.status == 401 else ""
            raise Refused(answer.status, f"{subject}: {reason} ({self.name} answered {answer.status}).{hint}")
        return answer

    def get(self, path: str, *, subject: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON of an answer. Raises as `call` does."""
        return self.call("GET", path, subject=subject, query=query).json()

    def send(self, method: str, path: str, value: Any, *, subject: str, **how: Any) -> Answer:
        """Send a value as JSON. Raises as `call` does."""
        headers = {"Content-Type": "application/json", **how.pop("headers", {})}
        return self.call(method, path, json.dumps(value).encode(), subject=subject, headers=headers, **how)


class Fleet:
    """The instances of a fleet. `preferred`: name of the instance to use, by API.

    A server without Connect is taken for a single engine, whose paths have no prefix.
    """

    def __init__(self, server: Server, preferred: Mapping[str, str] | None = None) -> None:
        self.server = server
        self.connect = Service(server, CONNECT, f"{PREFIX}/{CONNECT}")
        self._preferred = dict(preferred or {})
        self._services: dict[str, Service] = {}

    def instances(self, **filters: str) -> list[dict[str, Any]]:
        """Return what Connect lists. Raises Refused, Unavailable."""
        listed = self.connect.get("/1/connect", subject="fleet", query=filters or None)
        return [entry for entry in listed if isinstance(entry, dict)]

    def engine(self) -> Service:
        return self._service(ENGINE)

    def model_manage(self) -> Service:
        return self._service(MODEL_MANAGE)

    def instance(self, name: str) -> Service:
        """Return the instance of a name. Raises SettingsError if there is none."""
        if name == CONNECT:
            return self.connect
        if not self.instances(name=name):
            raise SettingsError(f"no instance {name!r} at {self.server.url}. `stream-scorer fleet` lists them.")
        return Service(self.server, name, f"{PREFIX}/{quoted(name)}")

    def _service(self, api: str) -> Service:
        if api not in self._services:
            self._services[api] = self._find(api)
        return self._services[api]

    def _find(self, api: str) -> Service:
        if api in self._preferred:
            return self.instance(self._preferred[api])
        try:
            listed = self.instances(api=api)
        except Refused as refused:
            if refused.status == 404 and api == ENGINE and self.server.request("GET", "/2/engine/state").status == 200:
                return Service(self.server, ENGINE, "")
            raise
        for entry in listed:
            if entry.get("health") == "ok":
                return Service(self.server, entry["name"], f"{PREFIX}/{quoted(entry['name'])}")
        state = "is healthy" if listed else "is there"
        raise SettingsError(f"no {api} {state} at {self.server.url}. `stream-scorer fleet` lists what there is.")
