"""CSV by RFC 4180: against Python's own reader where that can do it, and beyond."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.csv_dialect import Dialect

CASES = {
    "plain": ("1,Joe,30", ["1", "Joe", "30"]),
    "empty fields": (",,", ["", "", ""]),
    "quoted": ('1,"a,b",2', ["1", "a,b", "2"]),
    "a doubled quote": ('"say ""hi"""', ['say "hi"']),
    "a line break": ('"a\r\nb",c', ["a\r\nb", "c"]),
    "blanks are data": (" a , b", [" a ", " b"]),
    "a quote inside a bare field is data": ('a"b,c', ['a"b', "c"]),
    "nothing": ("", [""]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_record_is_parted_into_fields(case):
    text, fields = CASES[case]
    assert [field for field, _ in Dialect().parse(text)] == fields


def test_a_quote_and_a_long_delimiter_of_ones_own():
    dialect = Dialect(quote="'", delimiter="::")
    assert [field for field, _ in dialect.parse("1::'foo\nbar::bar'::it:s::''''")] == [
        "1",
        "foo\nbar::bar",
        "it:s",
        "'",
    ]


@pytest.mark.parametrize(
    ("text", "told"), [('"a', 'has no closing "'), ('1,"a"b', "field 2 goes on after its closing")]
)
def test_broken_quotes_are_told(text, told):
    with pytest.raises(ValueError, match=told):
        Dialect().parse(text)


texts = st.text(st.sampled_from('ab",;:\r\n\u00e9 '), max_size=6)


@given(st.lists(texts, min_size=1, max_size=5))
def test_what_is_written_pythons_reader_reads(fields):
    (row,) = csv.reader(io.StringIO(Dialect().write(fields), newline=""), strict=True)
    assert row == fields


@given(st.lists(texts, min_size=1, max_size=5))
def test_what_python_writes_is_read(fields):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(fields)
    assert [field for field, _ in Dialect().parse(out.getvalue())] == fields


@given(
    st.lists(st.text(st.sampled_from("ab'|:;\n"), max_size=6), min_size=1, max_size=5),
    st.sampled_from([",", "::", ":;:", "||", "ab"]),
)
def test_any_delimiter_there_and_back(fields, delimiter):
    dialect = Dialect("'", delimiter, "\n")
    assert [field for field, _ in dialect.parse(dialect.write(fields))] == fields
