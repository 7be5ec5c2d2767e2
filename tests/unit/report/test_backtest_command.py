"""stream-scorer backtest from end to end, with models that need nothing; and its page."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from stream_scorer.report import chart
from support.service import MODELS, ROLLING_MEAN, ROLLING_MEAN_BATCHED, run
from tests.support.forecaster import MODEL

pytestmark = pytest.mark.process

LAST_CLOSE = str(MODELS / "last_close.py")
SCHEMAS = [f"{name}={MODEL / name}.avsc" for name in ("close", "forecast")]


@pytest.fixture
def prices(tmp_path) -> Path:
    """400 weekdays, the last row first; a Monday is missing."""
    days = np.busday_offset("2000-01-03", np.arange(400))
    closes = 100 + np.cumsum(np.random.default_rng(2017).normal(size=400))
    rows = [f"{day},{close:.4f}" for day, close in zip(days, closes, strict=True) if str(day) != "2000-12-25"]
    path = tmp_path / "prices.csv"
    path.write_text("Date,Close\n" + "\n".join(reversed(rows)) + "\n")
    return path


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("model", [ROLLING_MEAN, ROLLING_MEAN_BATCHED])
def test_scores_are_those_of_score_byte_for_byte(model, prices, tmp_path):
    done = run("backtest", model, prices=prices, out=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "inputs.jsonl").read_bytes()
    scored = run("score", model, stdin=lines)
    assert (tmp_path / "out" / "scores.jsonl").read_text() == scored.stdout
    found = report(tmp_path / "out")
    assert (found["inputs"], found["scores"], found["judged"]) == (399, 370, 369)
    assert done.stdout.startswith(found["verdict"])


def test_records_go_in_and_forecasts_with_intervals_come_out(prices, tmp_path):
    done = run("backtest", LAST_CLOSE, prices=prices, out=tmp_path / "out", schema=SCHEMAS, symbol="X")
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "out" / "inputs.jsonl").read_text().splitlines()[0])
    assert (first["symbol"], first["date"]) == ("X", "2000-01-03")
    found = report(tmp_path / "out")
    assert found["errors"]["model"]["skill"] == pytest.approx(0, abs=0.02)
    assert found["forecasts_of_days_without_a_price"] == 1, "the Monday that is missing"
    assert found["judged"] == 397
    assert found["interval"]["model"]["level"] == 0.8
    assert found["interval"]["model"]["coverage"] == pytest.approx(0.68, abs=0.1)
    assert found["next"]["date"] > first["date"]


def test_a_span_is_judged_and_all_is_scored(prices, tmp_path):
    options = {"prices": prices, "from": "2000-06-01", "to": "2000-06-30"}
    assert run("backtest", ROLLING_MEAN, out=tmp_path / "out", **options).returncode == 0
    found = report(tmp_path / "out")
    assert (found["first"], found["last"], found["scores"]) == ("2000-06-01", "2000-06-30", 370)


def test_what_happens_later_changes_no_score_before_it(prices, tmp_path):
    head, *rows = prices.read_text().splitlines()
    changed = [row.split(",")[0] + ",1.0" if row >= "2001" else row for row in rows]
    other = tmp_path / "changed.csv"
    other.write_text("\n".join([head, *changed]) + "\n")
    made = []
    for path, name in ((prices, "a"), (other, "b")):
        run("backtest", LAST_CLOSE, prices=path, out=tmp_path / name, schema=SCHEMAS)
        inputs = (tmp_path / name / "inputs.jsonl").read_text().splitlines()
        scores = (tmp_path / name / "scores.jsonl").read_text().splitlines()
        made.append([score for line, score in zip(inputs, scores, strict=True) if json.loads(line)["date"] < "2001"])
    assert made[0] == made[1]
    assert len(made[0]) > 200


def test_rejected_prices_are_told_of(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("Date,Close\n2001-01-01,5\n2001-01-02,-1\n2001-01-03,6\n2001-01-04,7\n")
    done = run("backtest", LAST_CLOSE, prices=path, out=tmp_path / "out", schema=SCHEMAS)
    assert done.returncode == 0, done.stderr
    found = report(tmp_path / "out")
    assert found["rejected"]["count"] == 1
    assert "2001-01-02: last_close.py" in found["rejected"]["first"][0]
    assert "below zero" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from": "June"}, "--from June: expected a date"),
        ({"level": 1.5}, "argument --level: 1.5 is not above 0 and below 1"),
        ({"rolling": 0}, "argument --rolling: 0 is not between 1 and"),
        ({"from": "2030-01-01"}, "no forecast of a day that is judged"),
        ({"column": "Open"}, "no column 'Open'. It has 'Date', 'Close'"),
        ({"cpi": __file__}, "has no rolling_mean.json with a trend"),
    ],
)
def test_wrong_settings_are_told(options, message, prices, tmp_path):
    done = run("backtest", ROLLING_MEAN, prices=prices, out=tmp_path / "out", **options)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_page_needs_nothing_else_and_its_pictures_are_sound(prices, tmp_path):
    run("backtest", LAST_CLOSE, prices=prices, out=tmp_path / "out", schema=SCHEMAS)
    text = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r"<script|<link|<img|https?://|url\(", text)
    assert "nan" not in text.lower().replace("finance", "")
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) == 4
    for picture in pictures:
        root = ET.fromstring(picture)
        for text in root.iter("text"):
            assert 0 <= float(text.get("x")) <= chart.WIDTH
            assert 0 <= float(text.get("y")) <= chart.HEIGHT
        for point in re.findall(r"[ML ]?(-?[\d.]+),(-?[\d.]+)", " ".join(p.get("d") for p in root.iter("path"))):
            assert 0 <= float(point[0]) <= chart.WIDTH
            assert 0 <= float(point[1]) <= chart.HEIGHT


def test_many_points_become_as_many_as_can_be_seen():
    labels = [str(at) for at in range(20_000)]
    picture = chart.lines(labels, [chart.Line("x", np.arange(20_000.0))], "")
    assert picture.count("L") < chart.MAX_POINTS + 10
    assert "19999" in picture


def test_the_help_is_there_at_once():
    done = run("backtest", "--help")
    assert done.returncode == 0
    assert "--prices" in done.stdout
