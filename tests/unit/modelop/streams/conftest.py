"""Descriptors as clients send them."""

from __future__ import annotations

import pytest

from stream_scorer.modelop.streams.descriptor import parse

SCHEMAS = {
    "prices": {"type": "record", "name": "Price", "fields": [{"name": "close", "type": "double"}]},
    "score": {"type": "double"},
    "loop-a": {"type": "array", "items": {"$ref": "loop-b"}},
    "loop-b": {"$ref": "loop-a"},
}


@pytest.fixture
def stream():
    """Of a descriptor, its slot and the model's schema, as the engine parses it."""

    def stream(transport, slot=0, inherited=None, dry_run=False, name="s", **more):
        raw = {"Transport": transport, **more}
        return parse(raw, slot=slot, name=name, inherited=inherited, dry_run=dry_run, find_schema=SCHEMAS.__getitem__)

    return stream
