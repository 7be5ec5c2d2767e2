"""The forecaster that takes prices: what it knows when, which day comes next, what it refuses, what it keeps."""

from __future__ import annotations

import datetime
import math

import pytest

from stream_scorer.errors import ActionError
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.state import values
from tests.support.forecaster import MODULE, attachment, closes, parameters
from tests.support.host import scores

pytestmark = pytest.mark.tensorflow
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def module():
    from stream_scorer_training.forecast_data import module

    return module


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    with sandbox(attachment(tmp_path_factory.mktemp("forecaster"))):
        found = Module(MODULE)
        found.begin()
    yield found
    found.end()


@pytest.fixture
def fresh(begun):
    begun.set_state(({},))
    return begun


def date(text):
    return datetime.date.fromisoformat(text)


# What the CPI was on a day.


@pytest.mark.parametrize(
    ("day", "lag", "figure"),
    [
        # The figure of March counts from the 14th day after the 1st of April on, and not a day before.
        ("2000-04-14", 14, 101.0),
        ("2000-04-15", 14, 102.0),
        ("2000-05-14", 14, 102.0),
        ("2000-05-15", 14, 103.0),
        # Without a lag it counts when its month is over.
        ("2000-03-31", 0, 101.0),
        ("2000-04-01", 0, 102.0),
        # Over a change of year, and with a lag of more than a month.
        ("2001-01-31", 31, 110.0),
        ("2001-02-01", 31, 111.0),
    ],
)
def test_a_cpi_figure_counts_from_the_day_it_is_published(module, day, lag, figure):
    assert module.cpi_on(date(day), module.prepared(parameters(cpi={"lag_days": lag}))) == (figure, 0)


def test_past_the_table_the_cpi_grows_as_in_its_last_twelve_months_and_says_so(module):
    p = module.prepared(parameters())
    assert module.cpi_on(date("2001-08-14"), p) == (117.0, 0)
    value, months = module.cpi_on(date("2001-08-15"), p)  # July's would be out
    assert (value, months) == (pytest.approx(117 * (117 / 105) ** (1 / 12)), 1)
    value, months = module.cpi_on(date("2002-07-15"), p)
    assert (value, months) == (pytest.approx(117 * 117 / 105), 12)


def test_before_the_first_figure_there_is_no_cpi(module):
    p = module.prepared(parameters())
    with pytest.raises(ValueError, match=r"no CPI figure was published by 2000-02-14"):
        module.cpi_on(date("2000-02-14"), p)
    assert module.cpi_on(date("2000-02-15"), p) == (100.0, 0)


# Which day comes next.


@pytest.mark.parametrize(
    ("day", "following"),
    [
        ("2001-01-04", "2001-01-05"),
        ("2001-01-05", "2001-01-08"),  # a weekend
        ("2001-01-12", "2001-01-16"),  # and a holiday of the table
        ("2001-12-24", "2001-12-25"),  # the table has no Christmas, and is believed
        ("2002-12-24", "2002-12-26"),  # after its end the rules go on
    ],
)
def test_the_next_session(module, day, following):
    assert module.next_session(date(day), module.prepared(parameters())) == date(following)


def test_sessions_between_two_dates(module):
    p = module.prepared(parameters())
    assert module.sessions(date("2001-01-12"), date("2001-01-16"), p) == 1
    assert module.sessions(date("2001-01-12"), date("2001-01-17"), p) == 2
    assert module.sessions(date("2001-01-12"), date("2001-01-13"), p) == 1, "a Saturday counts as one if it has a close"


def test_the_rules_are_those_of_the_calendar_library(module):
    calendars = pytest.importorskip("pandas_market_calendars")
    first, last = date("2023-01-01"), date("2080-12-31")
    p = module.prepared(parameters())
    open_days = set(calendars.get_calendar("NYSE").valid_days(first, last).date)
    # Closed for once, for the funeral of a president: no rule.
    wrong = [
        day
        for day in (first + number * DAY for number in range((last - first).days + 1))
        if module.is_session(day, p) != (day in open_days) and day != date("2025-01-09")
    ]
    assert wrong == []


def test_the_table_that_training_makes_is_the_library_up_to_its_end(module):
    pytest.importorskip("pandas_market_calendars")
    from stream_scorer_training.forecast_data import closures

    found = closures("2001-01-01", "2002-12-31")
    assert {"2001-09-11", "2001-09-14", "2001-12-25", "2002-07-04"} <= set(found["closed"])
    assert "2001-09-17" not in found["closed"]


# What is refused.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"date": "2001-01-03"}, "2001-01-03 is not after 2001-01-03, the last date of this symbol"),
        ({"date": "2001-01-02"}, "2001-01-02 is not after 2001-01-03"),
        ({"date": "2001-1-4"}, "date '2001-1-4' is not one like 2007-06-01"),
        ({"date": "4 January"}, "is not one like 2007-06-01"),
        ({"close": 0.0}, "must be a finite number above 0, not 0.0"),
        ({"close": -1.0}, "above 0"),
        ({"close": math.nan}, "finite"),
        ({"close": math.inf}, "finite"),
        ({"date": "1999-06-01", "symbol": "new"}, "no CPI figure was published by 1999-06-01"),
    ],
)
def test_a_record_that_cannot_be_is_refused_and_leaves_the_series_as_it_was(fresh, changes, message):
    first = closes(2)
    for record in first:
        assert scores(fresh, record) == []
    before = values.dump(fresh.state())
    with pytest.raises(ActionError, match=message):
        scores(fresh, {"symbol": "X", "date": "2001-01-04", "close": 100.0, **changes})
    assert values.dump(fresh.state()) == before


# What comes out, and what is kept.


def test_thirty_closes_give_nothing_and_every_one_after_them_a_forecast_of_the_next_session(fresh):
    records = closes(60)
    found = [scores(fresh, record) for record in records]
    assert [len(outputs) for outputs in found] == [0] * 30 + [1] * 30
    for record, [(slot, made)] in zip(records[30:], found[30:], strict=True):
        assert slot == 1
        assert made["symbol"] == "X"
        assert made["date"] > record["date"]
        assert made["low"] < made["close"] < made["high"]
        assert made["close"] == pytest.approx(record["close"], rel=1e-3), "the trend alone: there is no network"
        assert (made["level"], made["model"]) == (0.9, "made up")
    good_friday = next(
        made for record, [(_, made)] in zip(records[30:], found[30:], strict=True) if record["date"] == "2001-03-26"
    )
    assert good_friday["date"] == "2001-03-27"


def test_outputs_fit_the_schema(fresh):
    from stream_scorer.codec.schema_files import load_schema

    schema = load_schema("forecast", {}, MODULE.parent)
    for record in closes(35):
        for _, made in scores(fresh, record):
            schema.check(made)


def test_symbols_are_series_of_their_own(fresh):
    one, other = closes(40, "A"), closes(40, "B", start=20.0)
    mixed = [scores(fresh, record) for pair in zip(one, other, strict=True) for record in pair]
    fresh.set_state(({},))
    alone = [scores(fresh, record) for record in other]
    assert mixed[1::2] == alone


def test_the_state_comes_back_from_bytes_with_the_same_bits(fresh):
    records = closes(50)
    whole = [scores(fresh, record) for record in records]
    fresh.set_state(({},))
    found = []
    for record in records:
        fresh.set_state(values.load(values.dump(fresh.state())))
        found.append(scores(fresh, record))
    assert found == whole


def test_each_end_of_the_interval_moves_by_its_own_misses(module):
    p = module.prepared(parameters())
    known = module.follow(None, date("2001-01-02"), 100.0, p)
    known = dict(known, due="2001-01-03", low=95.0, high=105.0)
    above = module.follow(known, date("2001-01-03"), 110.0, p)
    assert above["q_high"] == pytest.approx(1.5 + 0.02 * 0.95)
    assert above["q_low"] == pytest.approx(1.6 - 0.02 * 0.05)
    within = module.follow(known, date("2001-01-03"), 100.0, p)
    assert (within["q_low"], within["q_high"]) == (pytest.approx(1.599), pytest.approx(1.499))
    another_day = module.follow(known, date("2001-01-04"), 110.0, p)
    assert (another_day["q_low"], another_day["q_high"]) == (1.6, 1.5), "it says nothing of that forecast"


def test_one_wrong_price_does_not_widen_the_interval_without_bound(module):
    p = module.prepared(parameters())
    known = module.follow(None, date("2001-01-02"), 100.0, p)
    wild = module.follow(known, date("2001-01-03"), 1.0, p)
    assert wild["changes"] == [-10.0]
    assert wild["variance"] == pytest.approx(5e-6 + (0.1 * 100 + 0.85) * 1e-4)


def test_a_change_over_several_sessions_counts_as_one_by_the_root_of_their_number(module):
    p = module.prepared(parameters(trend={"slope": 0.0}))
    known = module.follow(None, date("2001-01-02"), 100.0, p)
    one = module.follow(known, date("2001-01-03"), 101.0, p)["changes"][0]
    four = module.follow(known, date("2001-01-08"), 101.0, p)["changes"][0]
    assert four == pytest.approx(one / 2)
