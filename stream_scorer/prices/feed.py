"""Prices as input of a model: numbers, adjusted numbers, or records of its schema."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from stream_scorer.codec.schema import Schema
from stream_scorer.errors import SettingsError
from stream_scorer.parsing.times import EPOCH
from stream_scorer.prices.adjust import Adjustment
from stream_scorer.prices.history import Prices

NUMBERS = ("double", "float")
_TICKS = {
    "timestamp-millis": 10**3,
    "local-timestamp-millis": 10**3,
    "timestamp-micros": 10**6,
    "local-timestamp-micros": 10**6,
}


def inputs(schema: Schema | None, prices: Prices, symbol: str, adjustment: Adjustment | None) -> list[Any]:
    """One value of the schema for each row. Raises SettingsError if the schema needs what the file does not have."""
    if schema is None or schema.primitive in NUMBERS:
        if adjustment is None:
            return list(prices.closes.tolist())
        return [
            adjustment.adjust(date, close) for date, close in zip(prices.dates, prices.closes.tolist(), strict=True)
        ]
    definition = _resolved(schema.parsed, schema.named)
    if not isinstance(definition, dict) or definition["type"] != "record":
        raise SettingsError(
            f"the model's input has the schema {schema.name!r}, but prices can be given only as doubles or as records."
        )
    if adjustment is not None:
        raise SettingsError(
            "--cpi is for models that take adjusted numbers; this one takes records of prices. Leave out --cpi."
        )
    columns = {name.strip().lower(): name for name in prices.rows[0] if name}
    return [
        {
            field["name"]: value
            for field in definition["fields"]
            if (value := _value(field, schema, prices, at, symbol, columns)) is not None
        }
        for at in range(len(prices))
    ]


def _value(
    field: Mapping[str, Any], schema: Schema, prices: Prices, at: int, symbol: str, columns: Mapping[str, str]
) -> Any:
    """The value of a field in row `at`; None leaves it to its default."""
    name, (kind, logical) = field["name"].lower(), _kind(field["type"], schema.named)
    if name in ("close", "price", "value") and kind in NUMBERS:
        return float(prices.closes[at])
    if name in ("symbol", "ticker", "key") and kind == "string":
        return symbol
    if name in ("date", "day", "timestamp", "time"):
        return _date(prices.dates[at], kind, logical, field["name"])
    text = (prices.rows[at].get(columns.get(name, "")) or "").strip()
    try:
        if text:
            return {"double": float, "float": float, "int": int, "long": int, "string": str}[kind](text)
    except (KeyError, ValueError):
        raise SettingsError(
            f"{prices.path}: {text!r} of {prices.dates[at]} does not fit the model's field {field['name']!r} ({kind})."
        ) from None
    if "default" in field:
        return None
    raise SettingsError(
        f"{prices.path}: the model's field {field['name']!r} ({kind}) is no column of that name, or empty on "
        f"{prices.dates[at]}. It has {', '.join(map(repr, prices.rows[at]))}; a backtest fills symbol, date and close itself."
    )


def _date(date: datetime.date, kind: str, logical: str | None, field: str) -> Any:
    if kind == "string":
        return date.isoformat()
    if kind == "int":
        return date.toordinal() - EPOCH
    if kind == "long":
        return (date.toordinal() - EPOCH) * 86_400 * _TICKS.get(logical or "", 1000)
    raise SettingsError(f"the model's field {field!r} is a {kind}; a date is given as a string, an int or a long.")


def _kind(definition: Any, named: Mapping[str, Any]) -> tuple[str, str | None]:
    """(primitive type, logical type) of a type; of a union, those of the first branch that is not null."""
    definition = _resolved(definition, named)
    if isinstance(definition, list):
        return _kind(next((branch for branch in definition if branch != "null"), "null"), named)
    if isinstance(definition, dict):
        return str(definition["type"]), definition.get("logicalType")
    return str(definition), None


def _resolved(definition: Any, named: Mapping[str, Any]) -> Any:
    return named.get(definition, definition) if isinstance(definition, str) else definition
