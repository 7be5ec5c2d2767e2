"""NumPy with the names of NumPy 1 that later versions have dropped."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream_scorer.model.compat.overlay import Overlay

REMOVED: dict[str, Any] = {
    # Aliases of Python's own types, gone with 1.24.
    "float": float,
    "int": int,
    "object": object,
    "str": str,
    "complex": complex,
    "unicode": str,
    # Gone with 1.23 and 2.0.
    "asscalar": lambda a: np.asarray(a).item(),
    "asfarray": lambda a, dtype=np.float64: np.asarray(a, dtype if np.issubdtype(dtype, np.inexact) else np.float64),
    "alltrue": np.all,
    "sometrue": np.any,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "in1d": lambda ar1, ar2, assume_unique=False, invert=False: np.isin(
        np.ravel(ar1), ar2, assume_unique=assume_unique, invert=invert
    ),
    "rank": np.ndim,
    "round_": np.round,
    "trapz": np.trapezoid,
    "msort": lambda a: np.sort(a, axis=0),
    "mat": np.asmatrix,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "string_": np.bytes_,
    "NaN": np.nan,
    "Inf": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "PINF": np.inf,
    "NINF": -np.inf,
    "PZERO": 0.0,
    "NZERO": -0.0,
}
# NumPy 2 has these names with another meaning. A legacy model gets the old one; alone they do not make a model legacy.
_OTHERS: dict[str, Any] = {"bool": bool, "long": int}


def facade() -> Overlay:
    return Overlay("numpy", np, {**REMOVED, **_OTHERS}, f"NumPy here is {np.__version__}; use what has replaced it.")
