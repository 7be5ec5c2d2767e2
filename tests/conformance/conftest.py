"""Assertions in the runners of cases are explained as those in tests are."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"tests.conformance.{name}" for name in ("by_engine", "by_score", "columns", "facts", "outcome"))
)
