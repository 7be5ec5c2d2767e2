"""What the runners of cases assert is told as in a test."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"tests.conformance.{name}" for name in ("by_engine", "by_score", "columns", "facts", "outcome"))
)
