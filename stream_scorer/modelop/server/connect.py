"""Connect: what instances there are, the fleet's configuration, and Pneumo [h]."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml
from starlette.responses import Response

from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer, one_line
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.instance import Instance, Sensors, instance_api
from stream_scorer.modelop.server.pneumo import Pneumo
from stream_scorer.modelop.server.store import Store

_FIELDS = ("id", "name", "api", "host", "port", "release", "built_on", "health")


class Connect(Instance):
    """`address`: host and port to tell of where a request does not say how it reached us; `tls`: by HTTPS."""

    def __init__(
        self,
        store: Store,
        sensors: Sensors,
        pneumo: Pneumo,
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
        """All instances but Connect itself, at the address by which the client came."""
        host, port = _host_port(host_header, 443 if self._tls else 80) or self._address
        return [
            {"name": one.name, "api": one.api, "host": host, "port": port, "health": "ok", **one.health()}
            for one in self._instances
        ]

    def configure(self, text: bytes) -> bool:
        """Keep a configuration, as YAML. Whether there was none before. Raises HttpError 400."""
        value = parse_yaml(text, "configuration")
        if not isinstance(value, dict):
            raise HttpError(400, "the configuration is not a YAML mapping")
        return self.store.put("config", "fleet", "application/json", json.dumps(value, default=str).encode())


API = instance_api("connect", "Connect")


@API.on(
    "GET",
    "/1/connect",
    "instances of the fleet",
    {200: "[{id, name, api, host, port, release, built_on, health}]"},
    query={"return": "names of fields, with commas between"} | dict.fromkeys(_FIELDS[1:], "only those"),
)
def fleet(here: Connect, call: Call) -> Response:
    wanted = {name: call.query[name] for name in _FIELDS if name in call.query}
    found = [
        entry
        for entry in here.fleet(call.headers.get("host", ""))
        if all(str(entry[name]) == value for name, value in wanted.items())
    ]
    fields = [name for name in call.query.get("return", "").split(",") if name]
    if not set(fields) <= {*_FIELDS}:
        raise HttpError(400, f"return={call.query['return']}: fields are {', '.join(_FIELDS)}")
    return json_answer([{name: entry[name] for name in fields or _FIELDS} for entry in found])


@API.on(
    "PUT",
    "/1/config",
    "set the fleet's configuration",
    {201: "set", 204: "replaced", 400: "not YAML"},
    body=("application/x-yaml", "application/json"),
)
def set_config(here: Connect, call: Call) -> Response:
    return empty(201 if here.configure(call.body) else 204)


@API.on(
    "GET",
    "/1/config",
    "the fleet's configuration",
    {200: "JSON, which is YAML too", 404: "not set, or no such section"},
    query={"q": "one section of it"},
)
def config(here: Connect, call: Call) -> Response:
    kept = here.store.get("config", "fleet")
    if kept is None:
        raise HttpError(404, "the fleet is not configured")
    value = json.loads(kept.body)
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
def history(here: Connect, call: Call) -> Response:
    return json_answer(here.pneumo.history(call.query))


class _Loader(yaml.SafeLoader):
    """Plain YAML, and the tags with which Python 2 marks its strings."""


def _string(loader: _Loader, node: Any) -> Any:
    return loader.construct_yaml_str(node)


for _tag in ("unicode", "str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:python/{_tag}", _string)


def parse_yaml(text: bytes, what: str) -> Any:
    """Raises HttpError 400."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise HttpError(400, f"{what} is not YAML: {one_line(error)}") from error


def _host_port(header: str, usual: int) -> tuple[str, int] | None:
    """Of a Host header; IPv6 keeps its brackets, as in a URL."""
    host, colon, port = header.rpartition(":")
    if colon and port.isdecimal() and host:
        return host, int(port)
    return (header, usual) if header else None
