"""Native libraries write to descriptor 2 as they load; what is only a banner is kept from the operator."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# TensorFlow's log before its logging is set up, which no variable silences.
_BANNER = re.compile(
    rb"^(WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} [\d:.]+\s+\d+ (port|cudart_stub|cuda_platform|cpu_feature_guard|cuda_executor)\.cc)"
)


def is_banner(line: bytes) -> bool:
    return _BANNER.match(line) is not None


@contextlib.contextmanager
def without_banners() -> Iterator[None]:
    """Hold back what is written to stderr in the block; at its end let through all but known banners."""
    sys.stderr.flush()
    try:
        holding = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # nowhere to hold it: banners do no harm
        yield
        return
    with holding as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            rest = b"".join(line for line in held if not is_banner(line))
            if rest:
                os.write(2, rest)
