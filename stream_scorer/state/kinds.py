"""Values of Python's library that a state may hold <-> a name and plain values: times, Decimal, frozenset.

The two come from a topic, so anybody may have written them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def plain_of(value: Any) -> tuple[bytes, Any] | None:
    """Name of the kind, and what says all of the value; None for what is not kept, such as a time zone with rules."""
    found = _PLAIN.get(type(value))
    if found is None:
        return None
    name, plain = found
    said = plain(value)
    if name == b"datetime" and repr(value) != repr(_datetime(said)):
        return None
    return name, said


def value_of(name: bytes, said: Any) -> Any:
    """Raises ValueError, and what the types themselves raise."""
    if name not in _MADE:
        raise ValueError(f"no kind {name[:20]!r} is kept")
    return _MADE[name](said)


def _datetime(said: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(said)


def _decimal(said: Any) -> Decimal:
    if type(said) is not str:
        raise ValueError(f"a Decimal of a {type(said).__name__}")
    return Decimal(said)


def _frozenset(said: Any) -> frozenset[Any]:
    found = frozenset(said)
    if len(found) != len(said):
        raise ValueError("a frozenset with equal items")
    return found


_PLAIN: dict[type, tuple[bytes, Callable[[Any], Any]]] = {
    datetime.datetime: (b"datetime", datetime.datetime.isoformat),
    datetime.date: (b"date", datetime.date.toordinal),
    datetime.timedelta: (b"timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    Decimal: (b"Decimal", str),
    frozenset: (b"frozenset", lambda value: tuple(sorted(value, key=repr))),
}
_MADE: dict[bytes, Callable[[Any], Any]] = {
    b"datetime": _datetime,
    b"date": datetime.date.fromordinal,
    b"timedelta": lambda said: datetime.timedelta(*said),
    b"Decimal": _decimal,
    b"frozenset": _frozenset,
}
FACTORIES: dict[Any, bytes] = {
    None: b"", int: b"int", float: b"float", str: b"str", list: b"list", dict: b"dict", set: b"set", bool: b"bool"
}  # fmt: skip
"""Of a defaultdict."""
FACTORY_OF = {name: factory for factory, name in FACTORIES.items()}
