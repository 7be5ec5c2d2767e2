# fastscore.schema.0: close
# fastscore.schema.1: forecast
"""The last close as the forecast of the next weekday, within a fixed distance: records in, records out."""

import datetime


def action(x):
    if x["close"] < 0:
        raise ValueError("below zero")
    date = datetime.date.fromisoformat(x["date"])
    date += datetime.timedelta(days=3 if date.weekday() == 4 else 1)
    yield {
        "symbol": x["symbol"],
        "date": date.isoformat(),
        "close": x["close"],
        "low": x["close"] - 1.0,
        "high": x["close"] + 1.0,
        "level": 0.8,
        "adjusted": 0.0,
        "model": "last close",
        "cpi_extrapolated_months": 0,
    }
