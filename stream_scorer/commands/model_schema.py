"""The schema of a model's slot, from its comments alone."""

from __future__ import annotations

from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import SettingsError
from stream_scorer.model.locate import locate
from stream_scorer.model.program import read_program


def schema_of(model: str, slot: int) -> Schema:
    """The model is not begun. Raises ModelError, SettingsError: it names no schema for the slot."""
    located = locate(model)
    name = read_program(located.module).annotations.schemas.get(slot)
    if name is None:
        raise SettingsError(
            f"{located.module}: no comment '# fastscore.schema.{slot}: NAME', so --for cannot tell what slot {slot} holds."
        )
    return load_schema(name, {}, located.schema_dir)
