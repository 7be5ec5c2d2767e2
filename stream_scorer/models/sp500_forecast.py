# fastscore.schema.0: close
# fastscore.schema.1: forecast
# fastscore.module-attached: tensorflow
# fastscore.module-attached: tf_sp500_lstm
# stream-scorer.state: series
"""Forecast the next session's close and an interval for it, from closes as they are published.

In: a record (symbol, date, close in points). Out, from the 31st close of a symbol on: a record for the next
session (close, low, high, level, adjusted, model, cpi_extrapolated_months). Schemas: close.avsc, forecast.avsc.

    a   = ln(close / CPI) - trend(date)              adjusted; CPI: the figure last published on that date
    u   = (a - a of the close before) / sqrt(k)      change per session, over k sessions of the calendar
    z   = u / s, within +-largest                    in spreads s of the day before; the network's input
    v'  = w + (alpha min(z^2, largest^2) + beta) v   v = s^2: GARCH(1,1), Bollerslev 1986
    g   = LSTM(last 30 z), by the code of tf_sp500_lstm.py; a network each for the change and for its spread
    a'  = a + share_change s' g_change               adjusted forecast; a share of 0: there is no such network
    s~  = s' exp(share_spread g_spread)              spread of the next session's change
    close' = CPI exp(a' + trend(date'))
    low, high = close' exp(-q_low s~), close' exp(q_high s~)

Each end of the interval is held to its own share of misses, (1 - level) / 2, as the closes come in:
q += step * (missed - share of misses), the quantile tracking of adaptive conformal inference (Gibbs and
Candes 2021; Angelopoulos, Candes and Tibshirani 2023).

Nothing of it looks ahead: a CPI figure counts from `lag_days` after its month has ended, a close from its own
date on. Past the end of the table the CPI grows on as in its last twelve months, and the output says by how
many months. What is fitted (trend, spread, shares, q, weights) is in the attachment, with the CPI and the
exchange's holidays; after the end of those, `rule_holidays` goes on.

Rules for what comes in, each a ValueError that leaves the series as it was: the date is later than the last one
of its symbol (so neither a duplicate nor out of order), the close is a finite number above zero. A date on
which the calendar has no session is taken: prices are facts, the calendar only says which day comes next.

State is `series`, by symbol, so that an engine without sessions may mix symbols in one stream. There is no
batch hook: that hands over windows of numbers and takes back numbers, and these are records. `InFlight` moves
the network by one value per record instead.
"""

import datetime
import json
import math

import numpy as np
import tensorflow as tf
import tf_sp500_lstm as lstm

name = "sp500_forecast"
day = datetime.timedelta(days=1)


class Network(lstm.Network):
    """One window at a time needs one width, that of the windows in flight: the others would only be compiled."""

    candidates = (32,)


def begin():
    global series, parameters, networks
    series = {}
    with open(name + ".json") as file:  # noqa: PTH123  # as any engine reads it
        parameters = prepared(json.load(file))
    networks = {kind: lstm.InFlight(Network(weights_of(kind))) for kind, share in parameters["shares"].items() if share}


def weights_of(kind):
    checkpoint = tf.train.load_checkpoint("./" + name)
    return {key: checkpoint.get_tensor(kind + "/" + key) for key in lstm.variable_shapes()}


def action(x):
    symbol, date, close = checked(x)
    known = series.get(symbol)
    if known is not None and date.isoformat() <= known["date"]:
        raise ValueError(
            "{}: {} is not after {}, the last date of this symbol. Closes must come in order of their dates, each "
            "date once.".format(symbol, date, known["date"])
        )
    now = follow(known, date, close, parameters)
    made = None
    if len(now["changes"]) == lstm.n_steps:
        made = forecast(now, date, scores(now["changes"]), parameters)
    if made is not None:
        now.update(due=made["date"], low=made["low"], high=made["high"])
    series[symbol] = now  # last: whatever is raised before this leaves the series as it was
    if made is not None:
        yield dict(made, symbol=symbol)


def end():
    global networks
    networks = None


def checked(x):
    """(symbol, date, close) of a record. Raises ValueError."""
    symbol, text, close = x["symbol"], x["date"], float(x["close"])
    try:
        date = datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        date = None
    if date is None or date.isoformat() != text:
        raise ValueError("{}: date {!r} is not one like 2007-06-01".format(symbol, text))
    if not (math.isfinite(close) and close > 0):
        raise ValueError("{}: the close of {} must be a finite number above 0, not {}".format(symbol, text, close))
    return symbol, date, close


def scores(changes):
    """Each network's output after the last 30 changes: by windows in flight while one series follows itself."""
    found = {}
    for kind, in_flight in networks.items():
        output = in_flight.follow(changes)
        found[kind] = float(in_flight.network.score(np.array([changes], np.float32))[0] if output is None else output)
    return found


def follow(known, date, close, p):
    """State of a series after one more close; `known` is its state before, None for the first close.

    date: ISO, of the last close. adjusted: a. changes: last 30 z. variance: v. q_low, q_high: in spreads. due, low,
    high: the forecast that waits for its day, None before the first.
    """
    adjusted = math.log(close / cpi_on(date, p)[0]) - trend(date, p)
    if known is None:
        now = {"changes": [], "variance": p["spread"]["variance"], "due": None, "low": None, "high": None}
        now.update(q_low=p["interval"]["q_low"], q_high=p["interval"]["q_high"])
    else:
        now = dict(known, due=None, low=None, high=None)
        elapsed = sessions(datetime.date.fromisoformat(known["date"]), date, p)
        change = (adjusted - known["adjusted"]) / math.sqrt(elapsed)
        z = change / math.sqrt(known["variance"])
        z = max(-p["spread"]["largest"], min(z, p["spread"]["largest"]))  # one wrong price must not widen a whole year
        now["changes"] = [*known["changes"], z][-lstm.n_steps :]
        now["variance"] = next_variance(known["variance"], z, p["spread"])
        if known["due"] == date.isoformat():  # another day would say nothing of that forecast
            misses = (1 - p["interval"]["level"]) / 2
            for q, missed in (("q_low", close < known["low"]), ("q_high", close > known["high"])):
                now[q] = max(known[q] + p["interval"]["step"] * (missed - misses), p["interval"]["least"])
    now.update(date=date.isoformat(), adjusted=adjusted)
    return now


def next_variance(variance, z, spread):
    constant = spread["variance"] * (1 - spread["alpha"] - spread["beta"])
    return constant + (spread["alpha"] * z * z + spread["beta"]) * variance


def forecast(now, date, outputs, p):
    """The output record after the close of `date`, without its symbol. `outputs` are the networks', by kind."""
    due = next_session(date, p)
    cpi, extrapolated = cpi_on(date, p)
    spread = math.sqrt(now["variance"])
    adjusted = now["adjusted"] + p["shares"]["change"] * spread * outputs.get("change", 0.0)
    spread *= math.exp(p["shares"]["spread"] * outputs.get("spread", 0.0))
    close = cpi * math.exp(adjusted + trend(due, p))
    return {
        "date": due.isoformat(),
        "close": close,
        "low": close * math.exp(-now["q_low"] * spread),
        "high": close * math.exp(now["q_high"] * spread),
        "level": p["interval"]["level"],
        "adjusted": adjusted,
        "model": p["model"],
        "cpi_extrapolated_months": extrapolated,
    }


def prepared(p):
    """The parameters of the attachment, with what is looked up often made fit for it."""
    closed = frozenset(map(datetime.date.fromisoformat, p["calendar"]["closed"]))
    first = month_number(datetime.date.fromisoformat(p["cpi"]["first"]))
    epoch = datetime.date.fromisoformat(p["trend"]["epoch"])
    until = datetime.date.fromisoformat(p["calendar"]["until"])
    return dict(
        p,
        cpi=dict(p["cpi"], first=first),
        trend=dict(p["trend"], epoch=epoch),
        calendar=dict(p["calendar"], closed=closed, until=until),
    )


def trend(date, p):
    """Of ln(close / CPI): a straight line in days."""
    line = p["trend"]
    return line["intercept"] + line["slope"] * (date - line["epoch"]).days


def month_number(date):
    return 12 * date.year + date.month - 1


def cpi_on(date, p):
    """(CPI figure last published on a date, months it lies past the end of the table).

    The figure of a month is published `lag_days` after the first day of the next month: on that day it counts.
    Raises ValueError before the first figure.
    """
    table, figures = p["cpi"], p["cpi"]["figures"]
    at = month_number(date - table["lag_days"] * day) - 1 - table["first"]
    if at < 0:
        raise ValueError("no CPI figure was published by {}: the table begins later".format(date))
    past = max(0, at - len(figures) + 1)
    if past == 0:
        return figures[at], 0
    return figures[-1] * (figures[-1] / figures[-13]) ** (past / 12), past


def next_session(date, p):
    """The first day after a date on which the exchange is open."""
    date += day
    while not is_session(date, p):
        date += day
    return date


def sessions(after, until, p):
    """How many sessions there are after one date up to another, at least 1: a day the calendar does not know counts."""
    count = sum(is_session(after + number * day, p) for number in range(1, (until - after).days + 1))
    return max(count, 1)


def is_session(date, p):
    """By the table up to its end, by rule after it. Weekends have none (the Saturdays before 1952 do not count)."""
    if date.weekday() > 4:
        return False
    if date <= p["calendar"]["until"]:
        return date not in p["calendar"]["closed"]
    return date not in rule_holidays(date.year)


def rule_holidays(year):
    """Full-day holidays of the New York Stock Exchange by its rules of 2022 on (rule 7.2 and its calendar)."""

    def nth(month, weekday, number):
        first = datetime.date(year, month, 1)
        return first + day * ((weekday - first.weekday()) % 7 + 7 * (number - 1))

    def observed(month, number):
        date = datetime.date(year, month, number)
        return date + {5: -day, 6: day}.get(date.weekday(), 0 * day)

    new_year = datetime.date(year, 1, 1)
    return {
        new_year + day if new_year.weekday() == 6 else new_year,  # on a Saturday it is not made up for
        nth(1, 0, 3),  # Martin Luther King's day
        nth(2, 0, 3),  # Washington's birthday
        easter(year) - 2 * day,  # Good Friday
        nth(6, 0, 1) - 7 * day,  # Memorial day: the last Monday of May
        observed(6, 19),  # Juneteenth
        observed(7, 4),  # Independence day
        nth(9, 0, 1),  # Labor day
        nth(11, 3, 4),  # Thanksgiving
        observed(12, 25),  # Christmas
    }


def easter(year):
    """Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, number = divmod(h + k - 7 * m + 114, 31)
    return datetime.date(year, month, number + 1)
