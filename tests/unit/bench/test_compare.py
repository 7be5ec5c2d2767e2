"""Two runs of the benches side by side."""

from __future__ import annotations

import json

import pytest

from bench.compare import compare, kept, main_compare, main_keep, ratios, table
from bench.figures import HIGHER, LOWER, ratio

ABOUT = {"machine": {"cpu": "x", "cores": 2}, "versions": {}, "commit": "abc", "date": "2026-01-01"}


def run(**values: dict[str, object]) -> dict[str, object]:
    return {**ABOUT, "results": {"path": {"records": 5, "ratios": values}, "other": {"records": 7}}}


@pytest.mark.parametrize(
    ("better", "then", "now", "worse"),
    [
        (HIGHER, 2.0, 1.0, 0.5),
        (HIGHER, 1.0, 2.0, -1.0),
        (LOWER, 1.0, 1.5, 0.5),
        (LOWER, 1.5, 1.5, 0.0),
    ],
)
def test_worse_goes_by_what_is_better(better, then, now, worse):
    (line,) = compare(run(a=ratio(then, better)), run(a=ratio(now, better)))
    assert line == ("path: a", then, now, pytest.approx(worse))


def test_only_what_is_worse_by_more_than_the_tolerance_is_marked():
    lines = compare(run(a=ratio(1.0, LOWER), b=ratio(1.0, LOWER)), run(a=ratio(1.15, LOWER), b=ratio(1.25, LOWER)))
    _, a, b = table(lines, tolerance=0.2).splitlines()
    assert "WORSE" not in a
    assert b.endswith("WORSE by 25%")


def test_ratios_of_one_run_alone_are_shown_and_not_judged():
    lines = compare(run(gone=ratio(1.0, LOWER)), run(new=ratio(2.0, LOWER)))
    assert [(line.name, line.then, line.now, line.worse) for line in lines] == [
        ("path: gone", 1.0, None, None),
        ("path: new", None, 2.0, None),
    ]
    assert table(lines).count("only in one") == 2


def test_a_ratio_of_zero_is_shown_and_not_judged():
    (line,) = compare(run(a=ratio(0.0, LOWER)), run(a=ratio(1.0, LOWER)))
    assert line.worse is None
    assert "only in one" not in table([line])


def test_what_is_kept_is_the_ratios_and_where_they_come_from():
    whole = run(a=ratio(1.0, LOWER))
    found = kept(whole)
    assert found == {**ABOUT, "ratios": {"path: a": {"value": 1.0, "better": LOWER}}}
    assert ratios(found) == ratios(whole)


def test_a_ratio_of_rounds_is_their_median():
    assert ratio([1.0, 9.0, 2.0], LOWER) == {"value": 2.0, "better": LOWER}


def test_keep_then_compare(tmp_path, capsys):
    latest, to = tmp_path / "latest.json", tmp_path / "kept.json"
    latest.write_text(json.dumps(run(a=ratio(1.0, HIGHER))))
    assert main_keep(latest, to) == 0
    latest.write_text(json.dumps({**run(a=ratio(0.5, HIGHER)), "machine": {"cpu": "y"}}))
    assert main_compare(to, latest) == 0
    out = capsys.readouterr().out
    assert "WORSE by 50%" in out
    assert "The machines differ" in out


def test_without_a_kept_run_there_is_nothing_to_compare(tmp_path, capsys):
    assert main_compare(tmp_path / "kept.json", tmp_path / "latest.json") == 0
    assert capsys.readouterr().out.startswith("nothing to compare: no ")
