"""What every instance of a fleet has: a name, an id, health, sensors, and the operations of the API for them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml
from starlette.responses import Response

from stream_scorer import version
from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer
from stream_scorer.modelop.server.api import Api, Call
from stream_scorer.modelop.server.store import Store


class Sensors(Protocol):
    """The sensors of one instance. Safe from any thread; no method blocks."""

    def install(self, descriptor: dict[str, Any]) -> int:
        """Return the id of the new sensor. Raises SettingsError: the descriptor is wrong."""

    def remove(self, number: int) -> None:
        """Raises KeyError: no sensor has this id."""

    def installed(self) -> list[dict[str, Any]]:
        """Return `{id, tap, active, permanent}` of each sensor."""

    def points(self) -> list[str]:
        """Return the names of the tapping points."""


class Instance:
    """`api`: connect, model-manage or engine. The id is made once and stored.

    document: the OpenAPI document, once the application is made.
    """

    def __init__(self, name: str, api: str, store: Store, sensors: Sensors) -> None:
        self.name = name
        self.api = api
        self.sensors = sensors
        self.document: dict[str, Any] = {}
        stored = store.get("id", name)
        self.id = stored.body.decode() if stored else str(uuid.uuid4())
        if stored is None:
            store.put("id", name, "text/plain", self.id.encode())

    def health(self) -> dict[str, str]:
        return {"id": self.id, "release": version.__version__, "built_on": built_on()}


def built_on() -> str:
    """Return when this package was installed, in the form of `date`."""
    written = Path(version.__file__).stat().st_mtime
    return datetime.fromtimestamp(written, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")


def instance_api(name: str, title: str) -> Api[Any]:
    """Return an Api with the operations that every instance has."""
    api: Api[Instance] = Api(name, title)
    _add_health(api)
    _add_sensors(api)
    return api


def _add_health(api: Api[Instance]) -> None:
    @api.on("GET", "/1/health", "the instance is healthy", {200: "id, release, built_on"})
    def health(instance: Instance, _: Call) -> Response:
        return json_answer(instance.health())

    @api.on("GET", "/1/swagger", "this document", {200: "the API, as JSON, or as YAML where Accept asks for it"})
    def swagger(instance: Instance, call: Call) -> Response:
        if "yaml" in call.headers.get("accept", ""):
            return exact(yaml.safe_dump(instance.document, sort_keys=False).encode(), "application/x-yaml")
        return json_answer(instance.document)


def _add_sensors(api: Api[Instance]) -> None:
    installed, removed = {200: "its id", 400: "the descriptor is wrong"}, {204: "removed", 404: "not installed"}

    @api.on("POST", "/1/control/sensor", "install a sensor (old)", installed, body=("application/json",))
    @api.on("POST", "/2/active/sensor", "install a sensor", installed, body=("application/json",))
    def install(instance: Instance, call: Call) -> Response:
        descriptor = call.json("sensor descriptor")
        if not isinstance(descriptor, dict):
            raise HttpError(400, "a sensor descriptor is an object with Tap, Activate, Report and the like")
        return json_answer({"id": instance.sensors.install(descriptor)})

    @api.on("GET", "/2/active/sensor", "installed sensors", {200: "[{id, tap}]"})
    def active(instance: Instance, _: Call) -> Response:
        return json_answer([_only(sensor, "id", "tap") for sensor in instance.sensors.installed()])

    @api.on("GET", "/1/control/sensor", "installed sensors (old)", {200: "[{id, tap, active}]"})
    def controlled(instance: Instance, _: Call) -> Response:
        return json_answer([_only(sensor, "id", "tap", "active") for sensor in instance.sensors.installed()])

    @api.on("GET", "/1/control/sensor/available", "tapping points (old)", {200: "[name]"})
    @api.on("GET", "/2/active/sensor/points", "tapping points", {200: "[name]"})
    def points(instance: Instance, _: Call) -> Response:
        return json_answer(instance.sensors.points())

    @api.on("GET", "/1/control/sensor/{id}", "one sensor (old)", {200: "{id, tap, permanent}", 404: "not installed"})
    def describe(instance: Instance, call: Call) -> Response:
        for sensor in instance.sensors.installed():
            if str(sensor["id"]) == call.path["id"]:
                return json_answer(_only(sensor, "id", "tap", "permanent"))
        raise HttpError(404, f"sensor {call.path['id']} is not installed")

    @api.on("DELETE", "/1/control/sensor/{id}", "remove a sensor (old)", removed)
    @api.on("DELETE", "/2/active/sensor/{id}", "remove a sensor", removed)
    def remove(instance: Instance, call: Call) -> Response:
        try:
            instance.sensors.remove(call.number_in_path() or 0)
        except KeyError as error:
            raise HttpError(404, f"sensor {call.path['id']} is not installed") from error
        return empty()


def _only(sensor: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: sensor[name] for name in names}
