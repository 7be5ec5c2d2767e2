"""Uses of the public API whose types mypy checks in `make lint`. Nothing here runs.

An unused `type: ignore` is an error, so that each of them says: this use must be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import stream_scorer
from stream_scorer import (
    Model,
    Output,
    Rejected,
    Service,
    StreamScorerError,
    Totals,
    open_model,
    score,
    score_table,
)
from stream_scorer.testing import Driver

if TYPE_CHECKING:
    import pandas as pd


def values_of_an_open_model() -> None:
    with open_model("sp500_forecast", attachment=Path("a.tar.gz"), schemas={"double": "double.avsc"}) as model:
        assert_type(model, Model)
        assert_type(model.name, str)
        assert_type(model.inputs, dict[int, Any])
        assert_type(model.score([1.0], "key"), list[Output])
        assert_type(model.score(iter([1.0]), lambda value: value["key"]), list[Output])
        assert_type(model.score([1.0], on_reject="raise"), list[Output])
        assert_type(model.score([1.0], on_reject="return"), list[Output | Rejected])
        assert_type(model.state(b"key"), dict[str, Any])
        assert_type(model.end(), list[Output])
        model.score([1.0], 3)  # type: ignore[call-overload]
        model.score([1.0], on_reject="skip")  # type: ignore[call-overload]


def what_an_output_holds(output: Output, reject: Rejected) -> None:
    assert_type((output.offset, output.slot), tuple[int, int])
    assert_type(output.key, str | bytes | None)
    assert_type(reject.stage, str)
    assert_type(reject.exception(), stream_scorer.RecordError)


def values_in_one_go(model: Model) -> None:
    assert_type(score("mean.py", [1.0]), Iterator[Output])
    assert_type(score(model, [1.0], key="a", batch=10, on_reject="return"), Iterator[Output | Rejected])


def tables(frame: pd.DataFrame, model: Model) -> None:
    assert_type(score_table(model, frame, key="symbol"), pd.DataFrame)
    assert_type(score_table(Path("mean.py"), frame, column="x", on_reject="return"), pd.DataFrame)
    score_table(model, frame, on_reject="drop")  # type: ignore[arg-type]


def the_service() -> None:
    service = Service("mean.py", input_topic="prices", output_topic="means", kafka={"client.id": "x"}, batch=100)
    assert_type(service.run(), Totals)
    assert_type(service.status(), dict[str, Any])
    service.stop()
    Service("mean.py", input_topic=["prices"])  # type: ignore[arg-type]


def tests_of_models() -> None:
    with Driver("mean.py", session="partition", schema={"double": Path("double.avsc")}) as driver:
        assert_type(driver, Driver)
        assert_type(driver.send(1.0, key="a", timestamp=1_000), list[Output])
        assert_type(driver.send_all([1.0]), list[Output])
        assert_type(driver.send_bytes(None), list[Output])
        assert_type(driver.rejects, list[Rejected])
        assert_type(driver.evaluations, list[dict[str, Any]])
        driver.restart(Path("mean_v2.py"))
        driver.send(1.0, timestamp="now")  # type: ignore[arg-type]


def errors() -> None:
    try:
        pass
    except (stream_scorer.SettingsError, stream_scorer.ModelError) as error:
        assert_type(error.exit_code, int)
    except StreamScorerError:
        pass
