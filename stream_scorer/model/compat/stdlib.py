"""Names of the standard library that later Pythons have dropped. `imp_module` has the module `imp`."""

from __future__ import annotations

import base64
import collections
import collections.abc
import fractions
import functools
import math
import time
from collections.abc import Callable
from typing import Any

from stream_scorer.model.compat.overlay import Overlay

REMOVED: dict[str, dict[str, Any]] = {
    "collections": {name: getattr(collections.abc, name) for name in collections.abc.__all__},  # until 3.9
    "time": {"clock": time.perf_counter},  # until 3.7
    "fractions": {"gcd": math.gcd},  # until 3.8
    "base64": {"encodestring": base64.encodebytes, "decodestring": base64.decodebytes},  # until 3.8
}
_MODULES = {"collections": collections, "time": time, "fractions": fractions, "base64": base64}


def _facade(name: str) -> Overlay:
    return Overlay(name, _MODULES[name], REMOVED[name], "No version of Python has it there.")


FACADES: dict[str, Callable[[], Overlay]] = {name: functools.partial(_facade, name) for name in REMOVED}
