"""What `stream-scorer tail` makes of records, and what it shows."""

from __future__ import annotations

import contextlib
import io
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.cli import main
from stream_scorer.codec.evaluations import AnyEvaluation, EvaluationCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.commands import tail_view
from stream_scorer.commands.tail import _forecasts
from stream_scorer.errors import DecodeError
from stream_scorer.evaluate.tail import Row, Tail
from stream_scorer.records import Evaluation, Partition, PendingForecast, Record

DAY = 86_400_000


def _tail():
    return Tail(AnyEvaluation().decode, _forecasts("", make_schema("score", "double")))


def _judged(offset, forecast, actual, naive, *, at, key=b"k", partition=0):
    source = Record(Partition("in", partition), offset, key, b"", DAY * offset, None)
    value = EvaluationCodec().encode(Evaluation(PendingForecast(forecast, naive, None, None, at, None), source, actual))
    return Record(
        Partition("ev", partition), 0, key, value, DAY * offset, [("scorer-source", b"in/%d/%d" % (partition, offset))]
    )


def _score(offset, forecast, *, key=b"k", partition=0):
    return Record(
        Partition("out", partition),
        0,
        key,
        struct.pack("<d", forecast),
        DAY * offset,
        [("scorer-source", b"in/%d/%d" % (partition, offset))],
    )


def test_running_figures_are_of_each_key_of_a_partition():
    tail = _tail()
    first = tail.add_evaluation(_judged(1, 3.0, 2.0, 4.0, at=0))
    other = tail.add_evaluation(_judged(1, 9.0, 2.0, 2.0, at=0, partition=1))
    second = tail.add_evaluation(_judged(2, 1.0, 4.0, 2.0, at=1))
    assert (first.error, first.naive_error, first.rmse, first.skill) == (1.0, 2.0, 1.0, 0.75)
    assert (other.rmse, other.skill) == (7.0, None)
    assert (second.rmse, second.skill) == (math.sqrt(5), 1 - 10 / 8)
    assert (tail.judged, tail.series) == (3, 2)


@pytest.mark.parametrize("evaluation_first", [False, True])
def test_a_forecast_waits_until_it_is_judged_whichever_topic_comes_first(evaluation_first):
    tail = _tail()
    steps = [lambda: tail.add_score(_score(0, 3.0)), lambda: tail.add_evaluation(_judged(1, 3.0, 2.0, 4.0, at=0))]
    for step in reversed(steps) if evaluation_first else steps:
        step()
    assert tail.pending() == []
    tail.add_score(_score(1, 5.0))
    tail.add_score(_score(7, 6.0, key=b"other"))
    assert [(row.key, row.forecast, row.actual) for row in tail.pending()] == [
        (b"k", 5.0, None),
        (b"other", 6.0, None),
    ]


def test_what_is_no_evaluation_is_skipped_and_told():
    tail = _tail()
    assert tail.add_evaluation(_score(0, 3.0)) is None
    tail.add_score(_score(0, 3.0)._replace(value=None))
    assert tail.skipped == 2
    assert tail.problem.startswith("out[0]@0: expected Avro of schema 'evaluation'")
    tail.add_score(_score(0, 3.0)._replace(headers=None))
    assert tail.pending() == []


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (struct.pack("<d", 1.5), 1.5),
        (b"\0\0\0\0\x07" + struct.pack("<d", 1.5), 1.5),
        (b"1.5", 1.5),
        (b'{"close": 2}', 2.0),
        (b'{"open": 2}', None),
        (b"null", None),
    ],
)
def test_scores_are_read_as_they_come(value, number):
    assert _forecasts("close", make_schema("score", "double"))(value) == number


def test_scores_of_a_schema_are_read_by_it():
    schema = {"type": "record", "name": "S", "fields": [{"name": "close", "type": "float"}]}
    assert _forecasts("close", make_schema("score", schema))(struct.pack("<f", 0.5)) == 0.5
    with pytest.raises(DecodeError):
        _forecasts("close", make_schema("score", schema))(b"\xff")


ROW = Row(b"k", DAY, 1.5, 2.0, -0.5, math.inf, 0.5, None, {"forecast": 1.5, "actual": 2.0})


def test_lines_of_json_have_no_infinity(capsys):
    with tail_view.view(_tail(), "ev", as_json=True) as shown:
        shown.add(ROW._replace(rmse=math.inf))
        shown.refresh(changed=True)
    assert json.loads(capsys.readouterr().out) == {
        "key": "k",
        "timestamp": DAY,
        "forecast": 1.5,
        "actual": 2.0,
        "rmse": None,
        "skill": None,
    }


def test_plain_lines_where_there_is_no_terminal(capsys):
    with tail_view.view(_tail(), "ev", as_json=False) as shown:
        shown.add(ROW)
        shown.add(ROW._replace(key=b"\x1b[2J" + b"x" * 20, time=DAY + 1000, skill=-0.25))
        shown.refresh(changed=True)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["time", "key", "forecast", "actual", "error", "naive", "error", "RMSE", "skill"]
    assert first.split() == ["1970-01-02", "k", "1.50000", "2.00000", "-0.5000", "+inf", "0.5000"]
    assert second.split() == ["1970-01-02", "00:00:01", "?[2Jxxxxxxx…", *first.split()[2:], "-0.250"]
    assert len(head) == len(second)


def _drawn(monkeypatch, **environment):
    """What a terminal of 100 x 24 gets."""
    from rich import console

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24", **environment}.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    made = console.Console
    monkeypatch.setattr(console, "Console", lambda **how: made(file=out, force_terminal=True, **how))
    tail = _tail()
    with tail_view.view(tail, "ev", as_json=False) as shown:
        for offset in range(40):
            shown.add(tail.add_evaluation(_judged(offset + 1, 3.0, 2.0, 4.0, at=offset)))
        tail.add_score(_score(50, 5.0))
        shown.refresh(changed=True)
    return out.getvalue()


def test_on_a_terminal_a_table_of_the_last_and_of_what_waits(monkeypatch):
    text = _drawn(monkeypatch)
    picture = text.rpartition("ev: forecasts and what then happened")[2]
    assert picture.count("3.00000") == 24 - 8 - 1
    assert "waiting" in picture.splitlines()[-4]
    assert "40 judged." in picture
    assert "\x1b[3" not in text, "no colours"


@pytest.mark.parametrize(("columns", "naive"), [("80", False), ("100", True)])
def test_no_number_is_cut_where_the_terminal_is_narrow(columns, naive, monkeypatch):
    text = _drawn(monkeypatch, COLUMNS=columns)
    assert ("naive error" in text) == naive
    assert "…" not in text


def test_a_dumb_terminal_gets_lines(monkeypatch, capsys):
    assert _drawn(monkeypatch, TERM="dumb") == ""
    assert len(capsys.readouterr().out.splitlines()) == 41


def _json(fields):
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


ODD = st.sampled_from(
    [
        *(
            "null",
            "true",
            "[]",
            "[[1]]",
            "{}",
            '"x"',
            '"\\\\ud800"',
            "NaN",
            "Infinity",
            "1e400",
            "1e308",
            "-1e308",
            "0",
            "1",
        ),
        *("1" + "0" * 308, "1" + "0" * 4299, "9" * 5000, "[" * 900 + "]" * 900, "[" * 100_000),
    ]
)
FIELD = st.sampled_from(
    ["forecast", "actual", "naive", "low", "high", "error", "forecast_offset", "key", "timestamp", "x"]
)
VALUE = st.one_of(
    st.none(),
    st.binary(max_size=60),
    ODD.map(str.encode),
    st.tuples(st.floats(), st.floats(), st.floats()).map(lambda three: struct.pack("<5d", *three, 0, 0) + bytes(5)),
    st.dictionaries(FIELD, ODD, max_size=4).map(
        lambda odd: _json({"forecast": "1", "actual": "2", "naive": "3"} | odd)
    ),
)
HEADER = [b"\xff/1/2", b"in/0/5", b"in/0/" + b"9" * 5000, "in/0/\u0665"]
SOURCE = st.one_of(st.none(), st.just(""), st.binary(max_size=9), st.sampled_from(HEADER))
RECORDS = st.lists(
    st.tuples(
        st.booleans(),
        st.builds(
            Record,
            st.just(Partition("ev", 0)),
            st.integers(0, 9),
            st.none() | st.binary(max_size=3),
            VALUE,
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.lists(st.tuples(st.just("scorer-source"), SOURCE), max_size=2),
        ),
    ),
    max_size=6,
)
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
RECORD = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "f", "type": ["null", MONEY]}, {"name": "g", "type": "long"}],
}


@given(RECORDS, st.sampled_from([("", "double"), ("f", RECORD), ("g", RECORD)]))
def test_no_record_of_anybody_ends_it(records, kind):
    """Every record that is an evaluation is shown, as JSON that any program reads."""
    field, schema = kind
    tail = Tail(AnyEvaluation().decode, _forecasts(field, make_schema("r", schema)))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        views = [tail_view._Json(), tail_view._Lines()]
        for is_score, record in records:
            if is_score:
                tail.add_score(record)
            elif (row := tail.add_evaluation(record)) is not None:
                for view in views:
                    view.add(row)
        for row in tail.pending():
            tail_view._cells(row)
    shown = [json.loads(line, parse_constant=pytest.fail) for line in out.getvalue().splitlines() if line[:1] == "{"]
    assert len(shown) == tail.judged
    assert all(isinstance(value, int | float | None) for one in shown for name, value in one.items() if name != "key")


def test_integers_of_json_whose_squares_no_double_holds_are_shown():
    tail = _tail()
    value = b'{"forecast": 1%s, "actual": -1%s, "naive": 0, "key": "forged", "low": [1]}' % (b"0" * 308, b"0" * 308)
    row = tail.add_evaluation(Record(Partition("ev", 0), 0, b"k", value, None, None))
    assert (row.error, row.rmse) == (math.inf, math.inf)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        tail_view._Json().add(row)
    shown = json.loads(out.getvalue())
    assert (shown["key"], shown["low"], shown["rmse"]) == ("k", None, None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "tail needs --output-topic or --evaluation-topic"),
        (["--output-topic", "x", "--limit", "0"], "argument --limit: 0 is not between 1 and"),
        (["--output-topic", "x", "--from", "9" * 5000], "is not earliest, latest"),
        (["--output-topic", "x", "--from", "monday"], "--from 'monday' is not earliest, latest"),
        (["--output-topic", "x", "--schema", "/no/such"], "--schema /no/such: cannot be read as a JSON schema"),
    ],
)
def test_a_mistake_is_told(arguments, text, capsys):
    assert main(["tail", *arguments]) == 2
    assert text in capsys.readouterr().err
