"""How many examples a property is tried with."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FULL = 100
"""Hypothesis's own number, which the profile `full` leaves as it is."""


def examples(count: int, **more: Any) -> settings:
    """`count` examples in a full run, proportionally fewer in `make check`, at least 10. `more`: of `settings`."""
    return settings(max_examples=max(10, count * settings().max_examples // FULL), **more)
