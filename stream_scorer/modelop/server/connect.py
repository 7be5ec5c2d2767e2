"""Connect: lists the instances of the fleet, keeps its configuration, serves Pneumo's history (rule `h.pneumo`)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.instance import Instance, Sensors, instance_api
from stream_scorer.modelop.server.pneumo_hub import PneumoHub
from stream_scorer.modelop.server.store import Store
from stream_scorer.parsing import plain_yaml

_HOST = re.compile(r"([\w.~%-]+|\[[\da-fA-F:.%\w]+\])(?::([0-9]{1,5}))?")
_FIELDS = ("id", "name", "api", "host", "port", "release", "built_on", "health")


class Connect(Instance):
    """`address`: host and port that clients get if their request has no Host header. `tls`: clients use HTTPS."""

    def __init__(
        self,
        store: Store,
        sensors: Sensors,
        pneumo: PneumoHub,
        instances: Sequence[Instance],
        address: tuple[str, int],
        tls: bool,
    ) -> None:
        super().__init__("connect", "connect", store, sensors)
        self.store = store
        self.pneumo = pneumo
        self._instances = instances
        self._address = address
        self._tls = tls

    def fleet(self, host_header: str) -> list[dict[str, Any]]:
        """Return all instances but Connect itself, with the address that the client has used."""
        host, port = _host_port(host_header, 443 if self._tls else 80) if host_header else self._address
        return [
            {"name": each.name, "api": each.api, "host": host, "port": port, "health": "ok", **each.health()}
            for each in self._instances
        ]

    def configure(self, text: bytes) -> bool:
        """Store a configuration in YAML. Return whether there was none before. Raises SettingsError, HttpError 400."""
        value = plain_yaml.load(text, "configuration")
        if not isinstance(value, dict):
            raise HttpError(400, "the configuration is not a YAML mapping")
        return self.store.put("config", "fleet", "application/json", json.dumps(value).encode())


API = instance_api("connect", "Connect")


@API.on(
    "GET",
    "/1/connect",
    "instances of the fleet",
    {200: "[{id, name, api, host, port, release, built_on, health}]"},
    query={"return": "names of fields, with commas between"} | dict.fromkeys(_FIELDS[1:], "only those"),
)
def fleet(connect: Connect, call: Call) -> Response:
    wanted = {name: call.query[name] for name in _FIELDS if name in call.query}
    matching = [
        entry
        for entry in connect.fleet(call.headers.get("host", ""))
        if all(str(entry[name]) == value for name, value in wanted.items())
    ]
    fields = [name for name in call.query.get("return", "").split(",") if name]
    if not set(fields) <= {*_FIELDS}:
        raise HttpError(400, f"return={call.query['return']}: fields are {', '.join(_FIELDS)}")
    return json_answer([{name: entry[name] for name in fields or _FIELDS} for entry in matching])


@API.on(
    "PUT",
    "/1/config",
    "set the fleet's configuration",
    {201: "set", 204: "replaced", 400: "not YAML"},
    body=("application/x-yaml", "application/json"),
)
def set_config(connect: Connect, call: Call) -> Response:
    return empty(201 if connect.configure(call.body) else 204)


@API.on(
    "GET",
    "/1/config",
    "the fleet's configuration",
    {200: "JSON, which is YAML too", 404: "not set, or no such section"},
    query={"q": "one section of it"},
)
def config(connect: Connect, call: Call) -> Response:
    stored = connect.store.get("config", "fleet")
    if stored is None:
        raise HttpError(404, "the fleet is not configured")
    value = json.loads(stored.body)
    section = call.query.get("q")
    if section is not None:
        if section not in value:
            raise HttpError(404, f"the configuration has no section {section!r}")
        value = value[section]
    kind = "application/x-yaml" if "yaml" in call.headers.get("accept", "") else "application/json"
    return exact(json.dumps(value).encode(), kind)


@API.on(
    "GET",
    "/2/pneumo",
    "the last messages; a WebSocket gets new ones",
    {200: "[message], 60 at most", 101: "a WebSocket"},
    query={"src": "of this instance only", "type": "of this type only"},
)
def history(connect: Connect, call: Call) -> Response:
    return json_answer(connect.pneumo.history(call.query))


def _host_port(header: str, usual: int) -> tuple[str, int]:
    """Return host and port of a Host header. An IPv6 address keeps its brackets, as in a URL. Raises HttpError 400."""
    match = _HOST.fullmatch(header)
    port = int(match[2] or usual) if match else 0
    if not match or not 1 <= port <= 65535:
        raise HttpError(400, f"Host: {header[:60]!r} is not of the form HOST or HOST:PORT")
    return match[1], port
