"""Times, Decimal and frozenset in a state <-> the name of the type and a plain value.

Name and value come from a topic, so anyone may have written them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def plain_of(value: Any) -> tuple[bytes, Any] | None:
    """Name of the type and a plain value that describes it completely; None if it is not kept, such as a time zone with rules."""
    kind = _PLAIN.get(type(value))
    if kind is None:
        return None
    name, to_plain = kind
    plain = to_plain(value)
    if name == b"datetime" and repr(value) != repr(_datetime(plain)):
        return None
    return name, plain


def value_of(name: bytes, plain: Any) -> Any:
    """The value that `plain_of` has described. Raises ValueError, and errors of the types themselves."""
    if name not in _MADE:
        raise ValueError(f"a value of type {name[:20]!r} is not kept")
    return _MADE[name](plain)


def _datetime(plain: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(plain)


def _decimal(plain: Any) -> Decimal:
    if type(plain) is not str:
        raise ValueError(f"a Decimal of a {type(plain).__name__}")
    return Decimal(plain)


def _frozenset(plain: Any) -> frozenset[Any]:
    value = frozenset(plain)
    if len(value) != len(plain):
        raise ValueError("a frozenset with equal items")
    return value


def _sorted(value: frozenset[Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(value, key=repr))
    except ValueError:  # Python writes no int of more than 4,300 digits
        return tuple(sorted(value, key=_text))


def _text(value: Any) -> str:
    if type(value) is int:
        return f"{value:x}"
    if type(value) in (tuple, frozenset):
        return f"{type(value).__name__} {sorted(map(_text, value)) if type(value) is frozenset else list(map(_text, value))}"
    return repr(value)


_PLAIN: dict[type, tuple[bytes, Callable[[Any], Any]]] = {
    datetime.datetime: (b"datetime", datetime.datetime.isoformat),
    datetime.date: (b"date", datetime.date.toordinal),
    datetime.timedelta: (b"timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    Decimal: (b"Decimal", str),
    frozenset: (b"frozenset", _sorted),
}
_MADE: dict[bytes, Callable[[Any], Any]] = {
    b"datetime": _datetime,
    b"date": datetime.date.fromordinal,
    b"timedelta": lambda plain: datetime.timedelta(*plain),
    b"Decimal": _decimal,
    b"frozenset": _frozenset,
}
FACTORIES: dict[Any, bytes] = {
    None: b"", int: b"int", float: b"float", str: b"str", list: b"list", dict: b"dict", set: b"set", bool: b"bool"
}  # fmt: skip
"""Names of the factories that a defaultdict may have."""
FACTORY_OF = {name: factory for factory, name in FACTORIES.items()}
