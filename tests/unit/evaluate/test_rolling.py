"""Rolling figures and drift, against the same computed at once."""

from __future__ import annotations

import bisect
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.evaluations import EvaluationCodec, EvaluationJson
from stream_scorer.errors import SettingsError
from stream_scorer.evaluate.drift import MIN_INPUTS, Drift
from stream_scorer.evaluate.judge import StreamJudge
from stream_scorer.evaluate.rolling import Figures, RollingFigures, figures
from stream_scorer.records import Evaluation, Partition, PendingForecast, Record

SOURCE = Record(Partition("in", 0), 0, None, b"", None, None)


def _evaluation(forecast, actual, naive, low=None, high=None):
    return Evaluation(PendingForecast(forecast, naive, low, high, 0, None), SOURCE, actual)


def test_figures_by_hand():
    """Errors 1, -3; of no change 2, 4; one of two intervals covers."""
    live = RollingFigures(10, Drift(10, [0.0, 1.0]))
    live.add([_evaluation(11, 10, 12, 9, 11), _evaluation(7, 10, 14, 6, 9)], [], 0)
    assert live.figures() == Figures(2, 5.0, 2.0, math.sqrt(5), 10.0, 0.5, 0.5)


def test_bounds_are_inside_and_intervals_may_be_missing():
    live = RollingFigures(10, Drift(10, [0.0, 1.0]))
    live.add([_evaluation(1, 2, 1, 2, 3), _evaluation(1, 3, 1, 2, 3), _evaluation(1, 9, 1)], [], 0)
    assert live.figures().coverage == 1.0


def test_nothing_is_told_of_nothing():
    live = RollingFigures(10, Drift(10, None))
    live.add([], [], 2)
    assert live.figures() == Figures(0, None, None, None, None, None, None)
    assert dict(live.counters()) == {"evaluations": 0, "evaluations_missed": 2}
    assert dict(live.gauges()) == {"evaluation_window": 0}


def test_skill_is_not_told_where_no_change_was_always_right():
    live = RollingFigures(10, Drift(10, None))
    live.add([_evaluation(1.5, 1.0, 1.0)], [], 0)
    assert live.figures().skill is None
    assert "forecast_skill" not in dict(live.gauges())


def test_what_is_not_finite_is_not_told():
    live = RollingFigures(10, Drift(10, None))
    with np.errstate(over="ignore"):
        live.add([_evaluation(1e200, -1e200, 0.0)], [], 0)
        assert dict(live.gauges()).keys() == {"evaluation_window", "forecast_mae"}


@given(
    batches=st.lists(
        st.lists(st.tuples(*[st.integers(-9, 9)] * 3, st.none() | st.integers(0, 3)), max_size=9), max_size=9
    ),
    window=st.integers(1, 20),
)
def test_any_batches_give_the_figures_of_the_last(batches, window):
    live = RollingFigures(window, Drift(window, None))
    rows = []
    for batch in batches:
        made = [
            _evaluation(f, a, n, *((None, None) if width is None else (f - width, f + width)))
            for f, a, n, width in batch
        ]
        live.add(made, [], 0)
        rows += [(f - a, n - a, math.nan if width is None else abs(f - a) <= width) for f, a, n, width in batch]
    expected = figures(*np.array(rows[-window:], dtype=float).reshape(-1, 3).T)
    found = live.figures()
    assert found.judged == expected.judged
    for one, other in zip(found, expected, strict=True):
        assert one == (None if other is None else pytest.approx(other))


def _ks(one, other):
    """The largest distance of the two step functions, looked for at every step."""
    one, other = sorted(one), sorted(other)
    return max(
        abs(bisect.bisect_right(one, at) / len(one) - bisect.bisect_right(other, at) / len(other))
        for at in [*one, *other]
    )


@given(
    inputs=st.lists(st.integers(-5, 5).map(float), min_size=MIN_INPUTS, max_size=80),
    reference=st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40),
    cut=st.integers(1, 40),
)
def test_drift_is_the_distance_of_the_last_inputs_from_the_reference(inputs, reference, cut):
    drift = Drift(40, reference)
    for at in range(0, len(inputs), cut):
        drift.add(inputs[at : at + cut])
    assert drift.statistic() == pytest.approx(_ks(reference, inputs[-40:]))
    assert drift.statistic() == drift.statistic()


def test_without_a_reference_the_first_inputs_are_it():
    drift = Drift(40, None)
    drift.add([float(at) for at in range(39)])
    assert drift.statistic() is None
    drift.add([39.0])
    assert drift.statistic() == 0.0
    drift.add([float(at) for at in range(100, 120)])
    assert drift.statistic() == 0.5
    drift.add([100.0] * 20)
    assert drift.statistic() == 1.0


def test_of_few_inputs_nothing_is_said():
    drift = Drift(40, [1.0, 2.0])
    drift.add([1.0] * (MIN_INPUTS - 1))
    assert drift.statistic() is None
    drift.add([1.0])
    assert drift.statistic() == 0.5


def test_without_scipy_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(SettingsError, match=r"--evaluate needs scipy: pip install 'stream-scorer\[evaluate\]'"):
        Drift(40, None)


def test_a_worker_goes_on_with_the_figures_of_those_before_it():
    """Whatever was judged before or after a restart: the figures are of the last ones."""
    evaluations = [_evaluation(at, at * 1.5, at + 1.0, at, at + 4.0) for at in map(float, range(30))]
    codec = EvaluationCodec()
    for cut in (0, 4, 25, 30):
        whole, after = RollingFigures(10, Drift(30, None)), RollingFigures(10, Drift(30, None))
        whole.add(evaluations, [one.actual for one in evaluations], 0)
        judge = StreamJudge(codec, after)
        told = [
            Record(SOURCE.partition, at, None, codec.encode(one), at, None) for at, one in enumerate(evaluations[:cut])
        ]
        judge.recall([*reversed(told), Record(SOURCE.partition, 99, None, b"no evaluation", None, None)])
        assert after.figures().judged == min(cut, 10)
        after.add(evaluations[cut:], [one.actual for one in evaluations[cut:]], 0)
        assert sorted(after._rows.tolist()) == sorted(whole._rows.tolist())
        assert after.figures() == pytest.approx(whole.figures())
        assert dict(after.counters())["evaluations"] == 30 - cut


def test_what_is_no_evaluation_of_ours_is_passed_over():
    live = RollingFigures(10, Drift(30, None))
    texts = b'{"forecast": "x", "actual": 1, "naive": 1}', b'{"forecast": 3, "actual": 1, "naive": 2}', b"[]", None
    judge = StreamJudge(EvaluationJson(), live)
    judge.recall([Record(SOURCE.partition, at, None, text, at, None) for at, text in enumerate(texts)])
    assert (live.figures().judged, live.figures().mse, live.figures().coverage) == (1, 4.0, None)
