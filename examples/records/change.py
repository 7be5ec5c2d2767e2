# fastscore.schema.0: price
# fastscore.schema.1: change
"""By how much a price has changed since the record before it of the same key."""


def begin():
    global last
    last = None


def action(record):
    global last
    before, last = last, record["price"]
    yield {
        "symbol": record["symbol"],
        "price": record["price"],
        "change": None if before is None else record["price"] - before,
    }
