"""Runs a case on `stream-scorer engine`, over HTTP, as the vendor's clients do.

Keys of a case that only an engine has:

    verify      JSON: members that the answer to a dry-run load must have
    states      all states that Pneumo tells of, in order
    jets        how many run the model
    policy      the import policy, as YAML
    mtype       type of the model
    [restored.N] input, output      a second run, from the snapshot that the first has left
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from stream_scorer.errors import Unavailable
from stream_scorer.modelop.client import models
from stream_scorer.modelop.client.fleet_client import Fleet, quoted
from stream_scorer.modelop.client.http import Refused, Server
from stream_scorer.modelop.client.pneumo_listener import PneumoListener
from support.engine import EngineProcess
from tests.conformance.by_score import archive
from tests.conformance.case import Case, Slot
from tests.conformance.outcome import Outcome, shown

WAIT_S = 30.0
SLOTS = range(6)
BY = ("schema", "encoding")
ENDS: dict[str | None, bytes] = {
    "json": b'{"$fastscore": "end"}',
    "utf-8": "\u262efastscore.end".encode(),
    None: b"\xfastscore.end",
    "msgpack": bytes.fromhex("81 aa") + b"$fastscore" + bytes.fromhex("a3") + b"end",
    "avro-binary": bytes.fromhex("1c") + b"$fastscore.end" + bytes(3),
}
_POLICY = "application/vnd.fastscore.import-policy-python3"


class Pneumo:
    """All that the fleet tells, kept."""

    def __init__(self, fleet: Fleet) -> None:
        self._heard = threading.Condition()
        self._messages: list[dict[str, Any]] = []
        self._listener = PneumoListener(fleet).__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.__exit__(None, None, None)
        self._thread.join()

    def _listen(self) -> None:
        while True:
            try:
                message = self._listener.next()
            except Unavailable:
                return
            if message is not None:
                with self._heard:
                    self._messages.append(message)
                    self._heard.notify_all()

    def now(self) -> int:
        with self._heard:
            return len(self._messages)

    def since(self, then: int, kind: str) -> list[dict[str, Any]]:
        with self._heard:
            return [message for message in self._messages[then:] if message["type"] == kind]

    def wait_for_state(self, then: int, *states: str) -> str:
        def reached() -> str | None:
            told = [one["state"] for one in self._messages[then:] if one["type"] == "engine-state"]
            return next((state for state in told if state in states), None)

        with self._heard:
            self._heard.wait_for(reached, WAIT_S)
            found = reached()
        assert found, f"none of {states} in {WAIT_S} s"
        return found


class ByEngine:
    """One engine for many cases, one after the other."""

    def __init__(self, engine: EngineProcess) -> None:
        self._server = Server(engine.url)
        fleet = Fleet(self._server)
        self._engine, self._manage = fleet.engine(), fleet.model_manage()
        self._pneumo = Pneumo(fleet)
        self._taps = {
            self._install(f"manifold.{slot}.records.rejected.by.{why}"): f"{slot} {why}" for slot in SLOTS for why in BY
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pneumo.close()
        self._server.close()

    def _install(self, tap: str) -> int:
        descriptor = {"Tap": tap, "Activate": "permanent", "Aggregate": None}
        found: int = self._engine.send("POST", "/2/active/sensor", descriptor, subject=tap).json()["id"]
        return found

    def run(self, case: Case, folder: Path) -> Outcome:
        """Raises AssertionError where the engine does not answer as the case has it."""
        self._reset(case)
        outcome = Outcome()
        begun = self._pneumo.now()
        try:
            self._load(case)
            if case.restored:
                self._first_run(case, folder)
                begun = self._pneumo.now()
            slots = case.restored or case.slots
            self._attach(case, slots, folder)
        except Refused as refused:
            outcome.refused = str(refused)
            return outcome
        if not case.runs:
            assert self._state() == "init"
            return outcome
        self._send(slots)
        self._receive(case, slots, outcome, begun)
        self._listen(case, outcome, begun)
        return outcome

    def _reset(self, case: Case) -> None:
        begun, before = self._pneumo.now(), self._state()
        self._engine.call("POST", "/2/engine/reset", subject="reset")
        if before != "init":
            self._pneumo.wait_for_state(begun, "init")
        headers = {"Content-Type": _POLICY}
        self._engine.call("PUT", "/1/policy", case.policy.encode(), subject="policy", headers=headers)
        for name in self._manage.get("/1/schema", subject="schemas"):
            self._manage.call("DELETE", f"/1/schema/{quoted(name)}", subject="schema")
        for name in self._manage.get("/1/model", subject="models"):
            self._manage.call("DELETE", f"/1/model/{quoted(name)}", subject="model")

    def _load(self, case: Case) -> None:
        manage = self._manage
        for name, text in case.schemas.items():
            manage.send("PUT", f"/1/schema/{quoted(name)}", json.loads(text), subject=f"schema {name}")
        headers = {"Content-Type": models.PREFIX + case.mtype}
        manage.call("PUT", "/1/model/model", case.model.encode(), subject="model", headers=headers)
        for name, files in case.attachments.items():
            headers = {"Content-Type": models.attachment_type(name)}
            manage.call("PUT", f"/1/model/model/attachment/{name}", archive(name, files), subject=name, headers=headers)
        info = json.loads(models.load(manage, self._engine, "model", None, {}, dry_run=True))
        for key, expected in json.loads(case.verify or "{}").items():
            assert info[key] == expected, f"{key} of a dry run"
        models.load(manage, self._engine, "model", None, {}, dry_run=False)
        if case.jets != 1:
            self._engine.send("POST", "/2/active/model/scale", case.jets, subject="scale")

    def _attach(self, case: Case, slots: Mapping[int, Slot], folder: Path) -> None:
        """Outputs first, as the vendor's tutorial does; slots that the case does not speak of have REST streams."""
        in_use = [one["slot"] for one in self._engine.get("/2/active/model", subject="model")["slots"]]
        wanted = {*slots, *(in_use if case.runs else ())}
        for number in sorted(wanted, key=lambda number: (-(number % 2), number)):
            slot = slots.get(number, Slot())
            descriptor = self._descriptor(number, slot, folder)
            headers = {"Content-Disposition": f'x-stream; name="stream-{number}"'}
            answer = self._engine.send(
                "PUT",
                f"/2/active/stream/{number}",
                descriptor,
                subject="attach",
                headers=headers,
                query={"dry-run": slot.interpreted is not None},
            )
            if slot.interpreted is not None:
                told = answer.json()
                assert {key: told.get(key) for key in slot.interpreted} == slot.interpreted
            else:
                assert answer.status == 204

    def _descriptor(self, number: int, slot: Slot, folder: Path) -> Any:
        if slot.own_transport:
            return slot.stream
        given = {"Encoding": "json", "Batching": "explicit"} if slot.stream is None else slot.stream
        if not slot.whole:
            return {"Transport": "REST", **given}
        if number % 2 or slot.pieces:
            return {"Transport": {"Type": "REST", "Mode": "chunked"}, **given}
        path = folder / f"whole-{number}"
        path.write_bytes(b"".join(slot.input or []))
        return {"Transport": {"Type": "file", "Path": str(path)}, **given}

    def _send(self, slots: Mapping[int, Slot]) -> None:
        """Every record in a request of its own, and the end."""
        streams = self._engine.get("/2/active/stream", subject="streams")
        for number in [one["slot"] for one in streams if _is_rest(one["descriptor"])]:
            if number % 2 == 0:
                slot = slots.get(number, Slot())
                for body in [*_bodies(slot), ENDS[slot.encoding] + (b"\n" if slot.pieces else b"")]:
                    answer = self._engine.ask("POST", f"/1/job/input/{number}", body)
                    if self._state() in ("finishing", "finished", "error"):
                        break
                    assert answer.status == 204, answer.text

    def _receive(self, case: Case, slots: Mapping[int, Slot], outcome: Outcome, begun: int) -> None:
        for number, slot in slots.items():
            if number % 2 and not slot.own_transport:
                enough = len(slot.output or []) if case.fails else None
                outcome.outputs[number] = shown(slot, self._outputs(number, enough))
        state = self._pneumo.wait_for_state(begun, "finished", "error")
        assert state == ("error" if case.fails else "finished"), self._pneumo.since(begun, "model-error")
        assert self._state() == state

    def _outputs(self, number: int, enough: int | None) -> list[bytes]:
        """Until 204, the end; of a model that fails, until 202 when all that is due is there."""
        found: list[bytes] = []
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            answer = self._engine.ask("GET", f"/1/job/output/{number}")
            if answer.status == 200:
                found.append(answer.body)
                continue
            assert answer.status in (202, 204), answer.text
            state = self._state()
            if (
                answer.status == 204
                or (state == "error" and enough is None)
                or (state == "error" and len(found) >= enough)
            ):
                return found
        raise AssertionError(f"slot {number}: {len(found)} records came, and no end")

    def _listen(self, case: Case, outcome: Outcome, begun: int) -> None:
        pneumo = self._pneumo
        outcome.console = "".join(one["text"] for one in pneumo.since(begun, "model-console"))
        rejected: dict[str, int] = {}
        for report in pneumo.since(begun, "sensor-report"):
            if report["id"] in self._taps:
                key = self._taps[report["id"]]
                # A report for each record, with its text.
                rejected[key] = rejected.get(key, 0) + (1 if isinstance(report["data"], str) else report["data"])
        outcome.rejected = dict(sorted(rejected.items()))
        for error in pneumo.since(begun, "model-error"):
            outcome.traceback = error["console"]
            outcome.failed = [line for line in error["console"].splitlines() if line.strip()][-1].strip().rstrip(".")
            outcome.failed_input = error["input"]
        if case.states:
            assert [one["state"] for one in pneumo.since(begun, "engine-state")] == list(case.states)

    def _first_run(self, case: Case, folder: Path) -> None:
        """To its end; then everything anew, with the latest snapshot restored before the load."""
        begun = self._pneumo.now()
        self._attach(case, case.slots, folder)
        self._send(case.slots)
        self._pneumo.wait_for_state(begun, "finished", "error")
        latest = self._manage.get("/1/model/model/snapshot", subject="snapshots", query={"count": 1})[0]
        path = f"/1/model/model/snapshot/{latest['id'][:6]}/contents"
        blob = self._manage.call("GET", path, subject="snapshot").body
        assert blob.isascii()
        self._engine.call("POST", "/2/engine/reset", subject="reset")
        self._engine.call("PUT", "/1/job/state", blob, subject="restore")
        models.load(self._manage, self._engine, "model", None, {}, dry_run=False)

    def _state(self) -> str:
        found: str = self._engine.get("/2/engine/state", subject="state")["state"]
        return found


def _is_rest(descriptor: Any) -> bool:
    transport = descriptor["Transport"]
    return str(transport if isinstance(transport, str) else transport["Type"]).lower() == "rest"


def _bodies(slot: Slot) -> Iterator[bytes]:
    records = slot.input or []
    if not slot.pieces:
        yield from records
        return
    data = b"".join(records)
    yield from (data[at : at + slot.pieces] for at in range(0, len(data), slot.pieces))
