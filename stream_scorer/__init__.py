"""Runs ModelOp (FastScore) Python models on Kafka topics, exactly once.

From Python: `open_model` and `score` for values, `score_table` for a pandas DataFrame, `Service` for `stream-scorer run`
inside a process of your own. Tests of models: `stream_scorer.testing`. All other modules are private to the package.
"""

from typing import TYPE_CHECKING, Any

from stream_scorer.errors import (
    ActionError,
    BrokerError,
    DecodeError,
    EncodeError,
    ModelError,
    RecordError,
    SchemaError,
    SettingsError,
    StateError,
    StreamScorerError,
    TransportError,
)
from stream_scorer.version import __version__ as __version__

if TYPE_CHECKING:
    from stream_scorer.api.model import Model, open_model
    from stream_scorer.api.outcome import Output, Rejected
    from stream_scorer.api.scoring import score
    from stream_scorer.api.service import Service
    from stream_scorer.api.table import score_table
    from stream_scorer.scoring.totals import Totals

__all__ = [
    "ActionError",
    "BrokerError",
    "DecodeError",
    "EncodeError",
    "Model",
    "ModelError",
    "Output",
    "RecordError",
    "Rejected",
    "SchemaError",
    "Service",
    "SettingsError",
    "StateError",
    "StreamScorerError",
    "Totals",
    "TransportError",
    "open_model",
    "score",
    "score_table",
]
_MODULES = {
    "Model": "api.model",
    "Output": "api.outcome",
    "Rejected": "api.outcome",
    "Service": "api.service",
    "Totals": "scoring.totals",
    "open_model": "api.model",
    "score": "api.scoring",
    "score_table": "api.table",
}
"""Imported when a name is first used: the command line imports this package at every start."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
