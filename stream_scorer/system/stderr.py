"""Native libraries write to stderr while they load. Known banners among these lines are dropped."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# TensorFlow logs these before its logging is set up; no variable silences them.
_BANNER = re.compile(
    rb"^(WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} [\d:.]+\s+\d+ (port|cudart_stub|cuda_platform|cpu_feature_guard|cuda_executor)\.cc)"
)


def is_banner(line: bytes) -> bool:
    return _BANNER.match(line) is not None


@contextlib.contextmanager
def without_banners() -> Iterator[None]:
    """Hold back what the block writes to stderr; at its end, write everything but known banners."""
    sys.stderr.flush()
    try:
        holding = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # nowhere to hold it back: banners do no harm
        yield
        return
    with holding as held_back:
        saved = os.dup(2)
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held_back.seek(0)
            rest = b"".join(line for line in held_back if not is_banner(line))
            if rest:
                os.write(2, rest)
