"""The API, the driver and `run`'s own parts give the same bytes for the same values."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from stream_scorer import open_model
from stream_scorer.testing import Driver
from support.service import MODELS
from tests.support import wired

KEYS = ("a", "b", "c")


@pytest.mark.parametrize("name", ["rolling_mean", "rolling_mean_batched", "counter", "echo_positive"])
def test_outputs_by_key_are_those_of_the_service(name):
    path = MODELS / f"{name}.py"
    chosen = random.Random(7)
    keyed = [(chosen.choice(KEYS), chosen.uniform(-1, 9)) for _ in range(200)]

    log = wired.run(
        path,
        wired.settings("avro-binary", "avro-binary"),
        [(key.encode(), struct.pack("<d", value)) for key, value in keyed],
        aborts=[30],
        restarts=[90],
        batch=16,
    )
    service = [(out.source.offset, out.value) for out in log.outputs]
    assert service

    with open_model(path) as model:
        keys = iter(key for key, _ in keyed)
        results = model.score([value for _, value in keyed], lambda _: next(keys), on_reject="return")
        assert [(one.offset, struct.pack("<d", one.value)) for one in results if hasattr(one, "slot")] == service
    assert _by_driver(path, keyed) == service


def _by_driver(path: Path, keyed: list[tuple[str, float]]) -> list[tuple[int, bytes]]:
    with Driver(path) as driver:
        for key, value in keyed:
            driver.send(value, key)
        return [(out.offset, struct.pack("<d", out.value)) for out in driver.outputs]
