"""The table of logical types: Python's type for each, and the number, bytes or text underneath, which is what is written.

Models get the value underneath, so `x / 1000` of a timestamp works in every encoding. They may return either.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_EPOCH = datetime.datetime(1970, 1, 1)
_ZERO_DAY = datetime.date(1970, 1, 1).toordinal()
_US = datetime.timedelta(microseconds=1)
# No limit of digits, because a shift by a power of ten must never round.
_EXACT = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
_MAX_DIGITS = 10_000
Definition = Mapping[str, Any]


class Logical(NamedTuple):
    """One logical type over one type of Avro.

    type: Python's type for it.
    under: converts a value of that type to the value underneath. Raises ValueError, OverflowError or ArithmeticError with
        the reason if the value does not fit.
    over: converts the value underneath to Python's type. Raises the same errors.
    us: unit of the number underneath, in microseconds; 0 for types that count no time.
    """

    type: type
    under: Callable[[Any, Definition], Any]
    over: Callable[[Any, Definition], Any]
    us: int = 0


def logical_of(schema: Any) -> Logical | None:
    """The logical type of a part of a parsed schema; None if it has none, or one that is not in the table.

    Avro says to treat a logical type that one does not know as the type underneath.
    """
    if not isinstance(schema, dict) or "logicalType" not in schema:
        return None
    return LOGICAL.get((schema["type"], schema["logicalType"])) if isinstance(schema["type"], str) else None


def logical_mismatch(reader: Any, writer: Any, *, units: bool = True) -> str | None:
    """The reason why values of the writer's logical type may not be read as the reader's; None if they may.

    units: also compare the units of times.
    """
    asked, written = logical_of(reader), logical_of(writer)
    if asked is None or written is None:
        return None
    same = asked.type is written.type and (asked.us == written.us or not units)
    if same and reader.get("scale", 0) == writer.get("scale", 0):
        return None
    return f"{_text(reader)} is asked for, {_text(writer)} is given"


def _text(schema: Any) -> str:
    scale = f" of scale {schema.get('scale', 0)}" if schema["logicalType"] == "decimal" else ""
    return f"{schema['logicalType']}{scale}"


def _days(value: datetime.date, _: Definition) -> int:
    if isinstance(value, datetime.datetime):
        value = _naive(value)
        if value.time() != datetime.time():
            raise ValueError("a date has no time of day")
    return value.toordinal() - _ZERO_DAY


def _naive(value: datetime.datetime) -> datetime.datetime:
    """The same time in UTC, without a time zone. A datetime without one is taken as UTC, never as the machine's zone."""
    return value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)


def _time(us: int) -> Callable[[datetime.time, Definition], int]:
    def under(value: datetime.time, _: Definition) -> int:
        if value.tzinfo is not None:
            raise ValueError("a time of day has no time zone")
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return (seconds * 1_000_000 + value.microsecond) // us

    return under


def _moment(us: int, *, local: bool) -> Callable[[datetime.datetime, Definition], int]:
    """local: keep what the clock shows; the time zone is dropped, not converted."""

    def under(value: datetime.datetime, _: Definition) -> int:
        return ((value.replace(tzinfo=None) if local else _naive(value)) - _EPOCH) // _US // us

    return under


def _of_time(us: int) -> Callable[[int, Definition], datetime.time]:
    return lambda number, _: (_EPOCH + datetime.timedelta(microseconds=number * us)).time()


def _of_moment(us: int, *, local: bool) -> Callable[[int, Definition], datetime.datetime]:
    zone = None if local else datetime.UTC
    return lambda number, _: (_EPOCH + datetime.timedelta(microseconds=number * us)).replace(tzinfo=zone)


def _unscaled(value: decimal.Decimal, schema: Definition) -> bytes:
    scale, precision = schema.get("scale", 0), schema.get("precision")
    if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        raise ValueError(f"not finite, or of more than {_MAX_DIGITS:,} digits")
    moved = value.scaleb(scale, _EXACT)
    number = int(moved)
    if number != moved:
        raise ValueError(f"more than {scale} digits after the point")
    if precision and len(str(abs(number))) > precision:
        raise ValueError(f"more than {precision} digits")
    if schema["type"] == "bytes":
        return number.to_bytes(((number if number >= 0 else ~number).bit_length() + 8) // 8, "big", signed=True)
    return number.to_bytes(schema["size"], "big", signed=True)


def _scaled(data: Any, schema: Definition) -> decimal.Decimal:
    data = data.encode("latin-1") if isinstance(data, str) else data
    return decimal.Decimal(int.from_bytes(data, "big", signed=True)).scaleb(-schema.get("scale", 0), _EXACT)


def _counting(kind: str, name: str, us: int) -> dict[tuple[str, str], Logical]:
    local = name.startswith("local")
    return {
        (kind, name): Logical(datetime.datetime, _moment(us, local=local), _of_moment(us, local=local), us),
    }


LOGICAL: dict[tuple[str, str], Logical] = {
    ("int", "date"): Logical(
        datetime.date, _days, lambda number, _: datetime.date.fromordinal(number + _ZERO_DAY), 86_400_000_000
    ),
    ("int", "time-millis"): Logical(datetime.time, _time(1000), _of_time(1000), 1000),
    ("long", "time-micros"): Logical(datetime.time, _time(1), _of_time(1), 1),
    **_counting("long", "timestamp-millis", 1000),
    **_counting("long", "timestamp-micros", 1),
    **_counting("long", "local-timestamp-millis", 1000),
    **_counting("long", "local-timestamp-micros", 1),
    ("bytes", "decimal"): Logical(decimal.Decimal, _unscaled, _scaled),
    ("fixed", "decimal"): Logical(decimal.Decimal, _unscaled, _scaled),
    ("string", "uuid"): Logical(uuid.UUID, lambda value, _: str(value), lambda text, _: uuid.UUID(text)),
    ("fixed", "uuid"): Logical(uuid.UUID, lambda value, _: value.bytes, lambda data, _: uuid.UUID(bytes=data)),
}
"""By the type underneath and the name of the logical type."""
