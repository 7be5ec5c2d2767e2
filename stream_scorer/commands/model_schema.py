"""The schema of a model's slot, read from the comments of its file."""

from __future__ import annotations

from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import SettingsError
from stream_scorer.model.locate import locate
from stream_scorer.model.trust import CHECKED, Trust


def schema_of(model: str, slot: int, trust: Trust = CHECKED) -> Schema:
    """The schema of a slot, without running the model. Raises ModelError; SettingsError if the slot has no schema."""
    located = locate(model, trust=trust)
    name = located.program.annotations.schemas.get(slot)
    if name is None:
        raise SettingsError(
            f"{located.module}: no comment '# fastscore.schema.{slot}: NAME', so --for does not know what slot {slot} holds."
        )
    return load_schema(name, {}, located.schema_dir, located.contents)
