"""Sends inputs that a person types, and prints outputs and rejected records."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from stream_scorer.errors import SettingsError, StreamScorerError
from stream_scorer.modelop.client.fleet_client import Fleet, Service
from stream_scorer.modelop.client.http import Refused
from stream_scorer.modelop.client.pneumo_listener import PneumoListener
from stream_scorer.modelop.client.rest_records import receive, send
from stream_scorer.safe_text import one_line, say


def interact(engine: Service, fleet: Fleet) -> None:
    """Run until the end of stdin. The line `~2` makes slot 2 the slot of the inputs. Raises SettingsError, Unavailable."""
    state = engine.get("/2/engine/state", subject="engine state")["state"]
    if state.lower() != "running":
        raise SettingsError(f"{engine.name} is not running, but {state}.")
    slots = [entry["slot"] for entry in engine.get("/2/active/model", subject="active model")["slots"]]
    slot = min(number for number in slots if number % 2 == 0)
    with _rejections(engine, fleet, slots) as rejections:
        while True:
            if sys.stdin.isatty():
                say(f"{slot}> ", end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                return
            text = line.strip()
            if text.startswith("~") and text[1:].isdecimal() and int(text[1:]) in slots and int(text[1:]) % 2 == 0:
                slot = int(text[1:])
            elif text:
                send(engine, slot, text.encode())
                _print_outputs(engine, [number for number in slots if number % 2])
                for rejection in rejections.waiting():
                    say(one_line(rejection))


def _print_outputs(engine: Service, slots: list[int]) -> None:
    """Print all outputs of an input. The engine waits before it says that there is none."""
    for slot in slots:
        with contextlib.suppress(EOFError, Refused):
            while (output := receive(engine, slot)) is not None:
                say(f"{'' if slot == 1 else f'[{slot}] '}{one_line(output.decode(errors='replace'))}", flush=True)


class _Rejections:
    def __init__(self, listener: PneumoListener, sensors: dict[int, str]) -> None:
        self._listener = listener
        self._sensors = sensors

    def waiting(self) -> Iterator[str]:
        while (message := self._listener.next(0.05)) is not None:
            if message.get("id") in self._sensors:
                data = message.get("data")
                for record in data if isinstance(data, list) else [data]:
                    yield f"rejected {self._sensors[message['id']]}: {record}"


@contextlib.contextmanager
def _rejections(engine: Service, fleet: Fleet, slots: list[int]) -> Iterator[_Rejections]:
    """Install sensors on every slot, for the time of the block."""
    sensors: dict[int, str] = {}
    with contextlib.ExitStack() as stack:
        for slot in slots:
            for by in ("schema", "encoding"):
                descriptor = {
                    "Tap": f"manifold.{slot}.records.rejected.by.{by}",
                    "Activate": "permanent",
                    "Aggregate": "accumulate",
                    "Report": {"Interval": 0.25},
                }
                id_ = engine.send("POST", "/2/active/sensor", descriptor, subject="sensor").json()["id"]
                sensors[id_] = f"by {by} at slot {slot}"
                stack.callback(_uninstall, engine, id_)
        listener = stack.enter_context(PneumoListener(fleet, src=engine.name, type="sensor-report"))
        yield _Rejections(listener, sensors)


def _uninstall(engine: Service, id_: int) -> None:
    with contextlib.suppress(StreamScorerError):
        engine.ask("DELETE", f"/2/active/sensor/{id_}")
