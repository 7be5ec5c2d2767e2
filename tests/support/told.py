"""What tests have found out, for the summary of the run."""

from __future__ import annotations

TOLD: list[str] = []
"""Lines of the test that runs."""
