"""Made-up parameters of the forecaster, and records for it."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
from typing import Any

from stream_scorer.model.archive import write_archive

MODEL = Path(__file__).parents[2] / "stream_scorer" / "models"
MODULE = MODEL / "sp500_forecast.py"
_PARAMETERS: dict[str, Any] = {
    "model": "made up",
    "trend": {"epoch": "2000-01-03", "slope": 5e-5, "intercept": 1.5},
    "spread": {"variance": 1e-4, "alpha": 0.1, "beta": 0.85, "largest": 10.0},
    "shares": {"change": 0.0, "spread": 0.0},
    "interval": {"level": 0.9, "q_low": 1.6, "q_high": 1.5, "step": 0.02, "least": 0.1},
    # January 2000 to June 2001: 100, 101, ... 117.
    "cpi": {"first": "2000-01-01", "lag_days": 14, "figures": [100.0 + month for month in range(18)]},
    "calendar": {
        "name": "made up",
        "first": "2000-01-03",
        "until": "2001-12-31",
        "closed": ["2001-01-15", "2001-04-13"],
    },
}


def parameters(**changes: Any) -> dict[str, Any]:
    """A new copy, some fields of its sections changed: parameters(cpi={"lag_days": 0})."""
    changed = copy.deepcopy(_PARAMETERS)
    for section, values in changes.items():
        changed[section].update(values)
    return changed


def attachment(folder: Path, **changes: Any) -> Path:
    """An attachment without networks: its shares are 0."""
    path = folder / "sp500_forecast.tar.gz"
    content = json.dumps(parameters(**changes)).encode()
    lstm = (MODEL / "tf_sp500_lstm.py").read_bytes()
    write_archive(path, {"sp500_forecast.json": content, "tf_sp500_lstm.py": lstm})
    return path


def closes(count: int, symbol: str = "X", first: str = "2001-01-02", start: float = 100.0) -> list[dict[str, Any]]:
    """Records of consecutive weekdays, prices that go up and down."""
    date, records, price = datetime.date.fromisoformat(first), [], start
    while len(records) < count:
        if date.weekday() < 5:
            price *= 1 + 0.01 * (-1, 0.5, 1.2, -0.6)[len(records) % 4]
            records.append({"symbol": symbol, "date": date.isoformat(), "close": round(price, 2)})
        date += datetime.timedelta(days=1)
    return records
