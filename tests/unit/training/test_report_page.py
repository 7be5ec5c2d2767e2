"""The page of a training: the verdict first, nothing from elsewhere."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.tensorflow


def reports(*ts_and_skills):
    return {"seeds": [{"test": {"skill": skill, "diebold_mariano_t": t}} for t, skill in ts_and_skills]}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (reports((-3.0, -0.038)), r"^Does not beat yesterday's price: .* worse, and not by chance \(skill -3\.8%, .* t -3\.0\)"),
        (reports((3.0, 0.01), (2.1, 0.02)), r"^Better than .* \(2 seeds: skill \+1\.0% to \+2\.0%, .* t \+2\.1 to \+3\.0\)"),
        (reports((3.0, 0.01), (1.0, 0.001)), r"^Does not beat yesterday's price: .* neither better nor worse beyond chance"),
        (reports((-3.0, -0.03), (-1.0, -0.01)), r"neither better nor worse beyond chance"),
    ],
)  # fmt: skip
def test_the_verdict_is_that_of_all_seeds(found, told):
    from stream_scorer_training.report_page import verdict

    assert re.search(told, verdict(found))


def test_a_p_value_is_never_told_as_zero():
    from stream_scorer_training.report_page import _P, _number

    assert _number(1e-9, _P) == "< 0.0001"
    assert _number(0.0456, _P) == "0.0456"
