"""How many inputs the decoders had, for the summary of the run."""

from __future__ import annotations

FUZZED: dict[str, int] = {}
"""By group of decoders."""
