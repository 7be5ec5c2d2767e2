"""The shipped forecaster: the same scores wherever it runs, nothing of the future in them, and what they are worth."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import sys
from pathlib import Path

import fastavro
import pytest
from stream_scorer_training.data import synthetic_prices

from stream_scorer.codec.evaluations import EvaluationCodec
from stream_scorer.model.archive import read_archive, write_archive
from support.service import run, score_topic
from tests.support.forecaster import MODEL

pytestmark = pytest.mark.tensorflow
FORECASTER = "sp500_forecast"
ATTACHMENT = MODEL / f"{FORECASTER}.tar.gz"
HOST = Path(__file__).with_name("record_host.py")
CLOSE, FORECAST = (
    fastavro.parse_schema(json.loads((MODEL / f"{name}.avsc").read_text())) for name in ("close", "forecast")
)
DAYS = 300


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def write_prices(path: Path, prices) -> Path:
    prices.to_csv(path)
    return path


@pytest.fixture(scope="module")
def prices(tmp_path_factory) -> Path:
    return write_prices(tmp_path_factory.mktemp("prices") / "prices.csv", synthetic_prices(DAYS)[0])


@pytest.fixture(scope="module")
def backtest(prices, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("backtest")
    done = run("backtest", FORECASTER, prices=prices, out=out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def inputs(backtest) -> list[str]:
    return lines(backtest / "inputs.jsonl")


@pytest.fixture(scope="module")
def scores(backtest) -> list[str]:
    found = lines(backtest / "scores.jsonl")
    assert len(found) == DAYS - 30
    return found


def avro(record: dict) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, CLOSE, record)
    return buffer.getvalue()


def forecast(data: bytes) -> dict:
    return fastavro.schemaless_reader(io.BytesIO(data), FORECAST, None)  # type: ignore[return-value]


# One module everywhere.


def test_the_lstm_in_the_attachment_is_the_shipped_one_byte_for_byte():
    found = read_archive(ATTACHMENT)
    assert found["tf_sp500_lstm.py"] == (MODEL / "tf_sp500_lstm.py").read_bytes()
    assert ATTACHMENT.stat().st_size < 2_000_000


def test_score_gives_the_backtests_scores(inputs, scores):
    done = run("score", FORECASTER, stdin="\n".join(inputs).encode(), batch=7)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == scores


def test_a_plain_host_gives_the_backtests_scores(backtest, scores, tmp_path):
    command = [
        sys.executable,
        HOST,
        MODEL / f"{FORECASTER}.py",
        ATTACHMENT,
        backtest / "inputs.jsonl",
        tmp_path / "out",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert [json.loads(line) for line in lines(tmp_path / "out")] == [json.loads(line) for line in scores]


def test_a_jet_gives_the_backtests_scores(backtest, scores, tmp_path):
    """By slots, as the ModelOp engine runs it."""
    done = run("score", FORECASTER, input=f"0={backtest / 'inputs.jsonl'}", output=f"1={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in lines(tmp_path / "out")] == [json.loads(line) for line in scores]


def test_its_bundle_passes_verify_and_gives_the_same_scores(backtest, inputs, scores, tmp_path):
    assert run("export", FORECASTER, out=tmp_path / "bundle").returncode == 0
    assert "tf_sp500_lstm" not in (tmp_path / "bundle" / "requirements.txt").read_text()
    done = run("verify", str(tmp_path / "bundle"), inputs=backtest / "inputs.jsonl")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "series that alternate give what each gives alone" in done.stdout
    scored = run("score", str(tmp_path / "bundle"), stdin="\n".join(inputs).encode())
    assert scored.stdout.splitlines() == scores


@pytest.mark.broker
def test_the_service_gives_the_backtests_scores_over_a_restart(inputs, scores, kafka, name):
    """A second process takes up the state of the first, from the changelog."""
    topics = {"input_topic": kafka.create(name("closes")), "output_topic": kafka.create(name("forecasts"))}
    for part in (inputs[:120], inputs[120:]):
        kafka.send(topics["input_topic"], [{"key": b"SP500", "value": avro(json.loads(line))} for line in part])
        score_topic(FORECASTER, kafka.servers, group=name("group"), create_topics=True, **topics)
    found = [forecast(message.value()) for message in kafka.read(topics["output_topic"])]
    assert found == [json.loads(line) for line in scores]


@pytest.mark.broker
def test_symbols_may_share_a_partition_with_keys_or_without_and_bad_dates_are_dead_letters(inputs, scores, kafka, name):
    other = [{**json.loads(line), "symbol": "HALF", "close": json.loads(line)["close"] / 2} for line in inputs[:60]]
    both = [record for pair in zip(map(json.loads, inputs), other, strict=False) for record in pair]
    both.insert(81, both[79])  # a close of SP500 comes again
    alone = run("score", FORECASTER, stdin="\n".join(map(json.dumps, other)).encode()).stdout.splitlines()
    for keyed in (True, False):
        topics = {what: kafka.create(name(f"{what}-{keyed}")) for what in ("closes", "forecasts", "dead")}
        kafka.send(
            topics["closes"],
            [{"value": avro(one), **({"key": one["symbol"].encode()} if keyed else {})} for one in both],
        )
        score_topic(
            FORECASTER,
            kafka.servers,
            group=name(f"group-{keyed}"),
            input_topic=topics["closes"],
            output_topic=topics["forecasts"],
            dead_letter_topic=topics["dead"],
            create_topics=True,
        )
        found = [forecast(message.value()) for message in kafka.read(topics["forecasts"])]
        assert [one for one in found if one["symbol"] == "SP500"] == [json.loads(line) for line in scores[:30]]
        assert [one for one in found if one["symbol"] == "HALF"] == [json.loads(line) for line in alone]
        assert len(kafka.read(topics["dead"])) == 1


@pytest.mark.broker
def test_the_service_judges_as_the_backtest_does(prices, scores, kafka, name, tmp_path):
    """A day without a price: its forecast is judged by no other day."""
    sessions = {json.loads(line)["date"] for line in scores}
    # Of two forecasts of one day, as made before and on a holiday, a backtest judges both and the service the last.
    rows = [row for at, row in enumerate(lines(prices)) if at < 32 or row[:10] in sessions]
    csv, out = tmp_path / "prices.csv", tmp_path / "backtest"
    csv.write_text("\n".join([*rows[:200], *rows[201:]]) + "\n")
    assert run("backtest", FORECASTER, prices=csv, out=out).returncode == 0
    closes = name("closes")
    to = {"topic": closes, "create_topic": True, "bootstrap_servers": kafka.servers}
    assert run("replay", str(csv), key="SP500", **{"for": FORECASTER}, **to).returncode == 0
    forecasts = kafka.create(name("forecasts"), retention_ms="-1")
    topics = {"input_topic": closes, "output_topic": forecasts, "group": name("group")}
    judged = {"evaluate": True, "evaluate_field": "close", "evaluate_date": "date"}
    score_topic(FORECASTER, kafka.servers, create_topics=True, **judged, **topics)
    codec = EvaluationCodec()
    said = [codec.decode(message.value()) for message in kafka.read(f"{topics['output_topic']}-evaluation")]
    report = json.loads((out / "report.json").read_text())
    assert (len(said), report["forecasts_of_days_without_a_price"]) == (report["judged"], 1)
    of = {json.loads(line)["date"]: json.loads(line)["close"] for line in lines(out / "inputs.jsonl")}
    made = [json.loads(line) for line in lines(out / "scores.jsonl")]
    assert [(one["forecast"], one["actual"], one["low"], one["high"]) for one in said] == [
        (one["close"], of[one["date"]], one["low"], one["high"]) for one in made if one["date"] in of
    ]
    mse = sum(one["error"] ** 2 for one in said) / len(said)
    covered = sum(one["low"] <= one["actual"] <= one["high"] for one in said) / len(said)
    assert mse**0.5 == pytest.approx(report["errors"]["model"]["rmse"], rel=1e-12)
    assert covered == pytest.approx(report["interval"]["model"]["coverage"])


# Nothing of the future.


@pytest.fixture(scope="module")
def changed_cpi(tmp_path_factory):
    """An attachment whose CPI is another from the first figure published after a day on."""

    def changed(after: datetime.date) -> Path:
        files = read_archive(ATTACHMENT)
        told = json.loads(files[f"{FORECASTER}.json"])
        cpi = told["cpi"]
        first = datetime.date.fromisoformat(cpi["first"])
        for at in range(len(cpi["figures"])):
            months = 12 * first.year + first.month + at  # of the first day of the month after
            published = datetime.date(months // 12, months % 12 + 1, 1) + datetime.timedelta(days=cpi["lag_days"])
            if published > after:
                cpi["figures"][at] *= 1.5 + 0.1 * (at % 3)
        files[f"{FORECASTER}.json"] = json.dumps(told).encode()
        path = tmp_path_factory.mktemp("cpi") / "attachment.tar.gz"
        write_archive(path, files)
        return path

    return changed


@pytest.mark.parametrize("row", [60, 151, 299])
def test_prices_and_cpi_of_after_a_day_change_no_forecast_made_by_then(
    row, inputs, scores, changed_cpi, prices, tmp_path
):
    """All closes after the day are others, and so are all CPI figures that are published after it."""
    day = datetime.date.fromisoformat(json.loads(inputs[row])["date"])
    history = synthetic_prices(DAYS)[0]
    history.iloc[row + 1 :] = history.iloc[row + 1 :] * 1.2 + 7
    path = write_prices(tmp_path / "prices.csv", history)
    done = run("backtest", FORECASTER, prices=path, out=tmp_path / "out", attachment=changed_cpi(day))
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path / "out" / "scores.jsonl")
    assert found[: row - 29] == scores[: row - 29]
    assert row == DAYS - 1 or found[row - 29 :] != scores[row - 29 :]


def test_a_cpi_figure_is_seen_on_the_day_it_is_published_and_not_before(inputs, scores, changed_cpi, prices, tmp_path):
    dates = [datetime.date.fromisoformat(json.loads(line)["date"]) for line in inputs]
    lag = json.loads(read_archive(ATTACHMENT)[f"{FORECASTER}.json"])["cpi"]["lag_days"]
    published = next(
        day
        for day in (datetime.date(2003, month, 1) + datetime.timedelta(days=lag) for month in range(5, 12))
        if day in dates
    )
    attachment = changed_cpi(published - datetime.timedelta(days=1))
    run("backtest", FORECASTER, prices=prices, out=tmp_path / "out", attachment=attachment)
    found = lines(tmp_path / "out" / "scores.jsonl")
    first = next(at for at, (one, other) in enumerate(zip(found, scores, strict=True)) if one != other)
    assert dates[first + 30] == published


# What they are worth.


@pytest.mark.slow
def test_on_the_test_part_it_is_no_worse_than_the_last_value_and_its_interval_holds_what_it_claims(
    reference_data, tmp_path
):
    done = run(
        "backtest", FORECASTER, prices=reference_data / "sp500.csv", out=tmp_path, seconds=600, **{"from": "2007-06-02"}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["rejected"]["count"] == 0
    assert found["errors"]["model"]["rmse"] <= 1.001 * found["errors"]["last value"]["rmse"]
    assert 0.88 <= found["interval"]["model"]["coverage"] <= 0.92
    assert found["interval"]["model"]["score"] < found["interval"]["plain"]["score"]
