"""Lines that tests add to the summary at the end of the run."""

from __future__ import annotations

SUMMARY_LINES: list[str] = []
"""Of the test that runs now; tests/conftest.py sends them along with its report."""
