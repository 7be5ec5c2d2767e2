"""What Pneumo keeps is bounded in bytes, whatever engines say."""

from __future__ import annotations

import asyncio
import json

import pytest

from stream_scorer.modelop.server import pneumo_hub
from stream_scorer.modelop.server.pneumo_hub import HISTORY, MAX_HISTORY, MAX_MESSAGE, REPORTS, PneumoHub


def _kept(hub):
    return len(json.dumps(hub.history({})))


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x" * MAX_MESSAGE},
        {"text": "\x00" * MAX_MESSAGE},
        {"input": {"slot": 0, "data": ["x" * 100_000] * 100}, "console": "y" * 3_000_000},
        {"data": [{"a" * 1000: ["z" * 1000] * 100}] * 20},
    ],
    ids=["text", "control characters", "a model error", "data"],
)
def test_a_long_message_is_cut(fields):
    hub = PneumoHub()
    hub.publish("engine-1", {"type": "any", **fields})
    (kept,) = hub.history({})
    assert (kept["src"], kept["type"]) == ("engine-1", "any")
    assert len(json.dumps(kept)) <= MAX_MESSAGE
    assert fields.keys() <= kept.keys()


def test_the_history_is_bounded_in_bytes_and_number():
    hub = PneumoHub()
    for number in range(2 * HISTORY):
        hub.publish("engine-1", {"type": "model-console", "text": f"{number} " + "x" * (MAX_MESSAGE // 2)})
    assert _kept(hub) <= MAX_HISTORY + 100
    assert hub.history({})[-1]["text"].startswith(f"{2 * HISTORY - 1} ")
    for number in range(2 * HISTORY):
        hub.publish("engine-1", {"type": "sensor-report", "id": number})
        hub.publish("engine-1", {"type": "model-console", "text": str(number)})
    assert len(hub.history({})) == HISTORY
    assert [message["id"] for message in hub.history({"type": "sensor-report"})][-1] == 2 * HISTORY - 1
    assert len(hub.history({"type": "sensor-report"})) <= REPORTS


def test_a_slow_listener_gets_the_last_messages():
    async def listen():
        listener = pneumo_hub._Listener({"type": "log"}, asyncio.get_running_loop())
        for number in range(5000):
            listener.offer(pneumo_hub._bounded({"type": "log", "text": f"{number} " + "x" * 10_000}))
            listener.offer(pneumo_hub._bounded({"type": "other"}))
        await asyncio.wait_for(listener.some.wait(), 10)
        taken = listener.take()
        assert sum(map(len, taken)) <= pneumo_hub._WAITING_CHARACTERS
        assert json.loads(taken[-1])["text"].startswith("4999 ")
        assert (listener.take(), listener.some.is_set()) == ([], False)

    asyncio.run(listen())
